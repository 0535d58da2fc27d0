"""What a run can do. This room alone sees Hydra; it joins the others."""
