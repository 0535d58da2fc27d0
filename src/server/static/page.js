"use strict";
// The page on which photos are chosen. Photos go to the server of this page and nowhere else.

const find = (id) => document.getElementById(id);
const form = find("ask"), input = find("photos"), drop = find("drop");
const maxPhotos = Number(form.dataset.maxPhotos), maxBytes = Number(form.dataset.maxBytes);
const TOKEN = "genspot-token";
let request = null; // an AbortController while photos are examined
let saved = ""; // address of the page that can be saved
let waiting = []; // photos that wait for the token

// The link that the server prints has the token behind #, which browsers send to nobody.
if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem(TOKEN, decodeURIComponent(location.hash.slice("#token=".length)));
  history.replaceState(null, "", location.pathname);
}
askForToken(form.dataset.needsToken === "yes" && !sessionStorage.getItem(TOKEN));

function askForToken(needed) {
  find("access").hidden = !needed;
  if (needed) find("token").focus();
}

function say(text) {
  find("status").textContent = text;
}

function complain(text) {
  find("problem").textContent = text;
  find("problem").hidden = text === "";
}

function setBusy(controller) {
  request = controller;
  input.disabled = controller !== null;
  find("cancel").hidden = controller === null;
  find("result").setAttribute("aria-busy", String(controller !== null));
}

function fault(files) {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (files.length > maxPhotos) return `These are ${files.length} photos; choose up to ${maxPhotos} at once.`;
  if (bytes > 0.999 * maxBytes) return `These photos are ${(bytes / 1e6).toFixed(1)} MB; the server takes ${maxBytes / 1e6} MB at once.`;
  return "";
}

async function examine(files) {
  if (files.length === 0) return;
  if (request !== null) {
    say("Photos are being examined: wait for the answer, or cancel it first.");
    return;
  }
  complain(fault(files));
  if (!find("problem").hidden) return;
  const body = new FormData();
  for (const file of files) body.append("photo", file, file.name);
  const token = sessionStorage.getItem(TOKEN);
  const controller = new AbortController();
  setBusy(controller);
  say(`Examining ${files.length === 1 ? files[0].name : `${files.length} photos`} …`);
  try {
    const response = await fetch(`/v1/report?deliveries=${find("deliveries").checked}`, {
      method: "POST",
      body,
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      signal: controller.signal,
    });
    const text = await response.text();
    if (response.ok) {
      show(text, files);
    } else {
      refuse(response.status, text, files);
    }
  } catch (error) {
    const ended = error.name === "AbortError";
    say(ended ? "Cancelled." : "");
    if (!ended) complain("The server does not answer: is it still running?");
  } finally {
    setBusy(null);
    input.value = ""; // so that the same photo can be chosen again
  }
}

function refuse(status, text, files) {
  say("");
  if (status === 401) {
    sessionStorage.removeItem(TOKEN);
    waiting = files;
    askForToken(true);
  }
  let message = `The server answered ${status}.`;
  try {
    message = JSON.parse(text).error.message;
  } catch { /* not the server's own answer */ }
  complain(message);
}

function show(text, files) {
  // Of the page, the answers alone: its own style sheet is in this page already.
  const part = text.slice(text.indexOf("<main"), text.indexOf("</main>"));
  const page = new DOMParser().parseFromString(part, "text/html"); // runs no script
  find("answers").replaceChildren(document.adoptNode(page.querySelector(".answers")));
  if (saved) URL.revokeObjectURL(saved);
  saved = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  const name = files.length === 1 ? files[0].name.replace(/\.[^.]*$/, "") : `${files.length} photos`;
  find("save").href = saved;
  find("save").download = `genspot ${name}.html`;
  find("result").hidden = false;
  say(files.length === 1 ? "Done: the answer is below." : `Done: ${files.length} photos, the answers are below.`);
  find("result").focus({ preventScroll: true });
  find("result").scrollIntoView({ block: "start" });
}

input.addEventListener("change", () => examine([...input.files]));
find("cancel").addEventListener("click", () => request?.abort());
find("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, find("token").value.trim());
  find("token").value = "";
  askForToken(false);
  complain("");
  const files = waiting;
  waiting = [];
  if (files.length) examine(files);
  else input.focus();
});
form.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault(); // the browser would open the photo
  drop.classList.remove("over");
  examine([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) examine(files);
});
