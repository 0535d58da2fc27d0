"""Image files with metadata that claims something."""

from __future__ import annotations

import datetime
import struct
from io import BytesIO

from PIL import Image, PngImagePlugin

PARAMETERS = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"


def tiny_image() -> Image.Image:
    """Return a grey image of 16 pixels a side."""
    return Image.new("RGB", (16, 16), (90, 90, 90))


def save(kind: str, **options: object) -> bytes:
    """Return a tiny image as a file."""
    file = BytesIO()
    tiny_image().save(file, kind, **options)
    return file.getvalue()


def png_with_text(compressed: bool = False, **texts: str) -> bytes:
    """Return a PNG file with texts."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text, zip=compressed)
    return save("PNG", pnginfo=info)


def make_exif(inner: dict[int, object] | None = None, **values: object) -> Image.Exif:
    """Return EXIF with fields by their numbers' hexadecimal digits: x10F is the maker."""
    exif = Image.Exif()
    for key, value in values.items():
        exif[int(key[1:], 16)] = value
    exif.get_ifd(0x8769).update(inner or {})
    return exif


def make_xmp(properties: str, more: str = "", before: str = "") -> bytes:
    """Return an XMP packet with these attributes and elements in its description."""
    return (
        f'{before}<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:ext="{EXTENSION}" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        f' xmlns:ps="http://ns.adobe.com/photoshop/1.0/" {properties}>{more}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def jpeg_segment(number: int, body: bytes) -> bytes:
    """Return a segment of JPEG: APP1 is 0xE1."""
    return b"\xff" + bytes([number]) + struct.pack(">H", len(body) + 2) + body


def jpeg_with(segment: bytes) -> bytes:
    """Return a JPEG file with `segment` first."""
    content = save("JPEG")
    return content[:2] + segment + content[2:]


def sign(content: bytes, kind: str, address: str | None = None) -> bytes:
    """Return a file with a C2PA manifest, signed by a certificate that is made for it.

    Args:
        content: the file.
        kind: its format, as PIL names it.
        address: where the manifest lies; None: in the file.
    """
    import c2pa

    chain, key = _certificate()
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, key, None))
    actions = [
        {
            "action": "c2pa.created",
            "digitalSourceType": GENERATED,
            "softwareAgent": {"name": "Paintbot"},
        }
    ]
    manifest = {
        "claim_generator_info": [{"name": "Test Program", "version": "1.0"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}],
    }
    signed = BytesIO()
    builder = c2pa.Builder(manifest)
    if address:
        builder.set_remote_url(address)
        builder.set_no_embed()
    builder.sign(signer, f"image/{kind.lower()}", BytesIO(content), signed)
    return signed.getvalue()


def _certificate() -> tuple[bytes, bytes]:
    """Return a chain of two certificates and the key of the first, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Press")])
    chain = b""
    for is_root, key in ((False, leaf), (True, root)):
        common = x509.NameAttribute(NameOID.COMMON_NAME, "root" if is_root else "signer")
        issuer = x509.Name([*name, x509.NameAttribute(NameOID.COMMON_NAME, "root")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer,
            x509.Name([*name, common]),
            key.public_key(),
            x509.random_serial_number(),
            now - datetime.timedelta(days=1),
            now + datetime.timedelta(days=2),
        )
        usage = dict.fromkeys(
            (
                *("content_commitment", "key_encipherment", "data_encipherment"),
                *("key_agreement", "encipher_only", "decipher_only"),
            ),
            False,
        )
        usage |= {"digital_signature": not is_root}
        usage |= {"key_cert_sign": is_root, "crl_sign": is_root}
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(is_root, None), True),
            (x509.KeyUsage(**usage), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False),
        ]
        if not is_root:
            usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            extensions.append((usages, False))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        chain += builder.sign(root, SHA256()).public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    return chain, leaf.private_bytes(*form, serialization.NoEncryption())
