#!/usr/bin/env python3
"""Verify a receipt of the exchange hub without any code of the hub.

    verify_receipt.py RECEIPT.jws BODY ROOT.pem

Needs nothing but Python's standard library and the openssl command (3.0 or
later). It checks, offline and years later:

  1. the signer's certificate leads to the province's root, and was valid when
     the receipt was issued;
  2. it names the gateway of the receipt's province;
  3. the signature (Ed25519, RFC 8037) is by that certificate's key;
  4. the body is the one that was released: SHA-256(salt, body).
"""

import base64
import datetime
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile


def b64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*args: str) -> str:
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"NOT VERIFIED: openssl {args[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    receipt, body, root = (pathlib.Path(p) for p in sys.argv[1:])
    head, payload, signature = receipt.read_text().strip().split(".")
    header, claims = json.loads(b64url(head)), json.loads(b64url(payload))
    if header["alg"] != "EdDSA" or header["typ"] != "hub-receipt+jws":
        sys.exit("NOT VERIFIED: this is not a receipt")

    with tempfile.TemporaryDirectory() as tmp:
        dir = pathlib.Path(tmp)
        for i, cert in enumerate(header["x5c"]):
            pem = "-----BEGIN CERTIFICATE-----\n" + cert + "\n-----END CERTIFICATE-----\n"
            (dir / f"{i}.pem").write_text(pem)
        (dir / "signed").write_bytes(f"{head}.{payload}".encode())
        (dir / "signature").write_bytes(b64url(signature))

        issued = datetime.datetime.fromisoformat(claims["issued_at"].replace("Z", "+00:00"))
        chain = [a for i in range(1, len(header["x5c"])) for a in ("-untrusted", str(dir / f"{i}.pem"))]
        openssl("verify", "-CAfile", str(root), "-no-CApath", "-no-CAstore", "-attime", str(int(issued.timestamp())), *chain, str(dir / "0.pem"))

        names = openssl("x509", "-in", str(dir / "0.pem"), "-noout", "-ext", "subjectAltName")
        want = f"URI:spiffe://{claims['region']}.hub.chuanyu/gateway/signing"
        if want not in names.split():
            sys.exit(f"NOT VERIFIED: the signer is not the gateway of {claims['region']}")

        (dir / "key.pem").write_text(openssl("x509", "-in", str(dir / "0.pem"), "-noout", "-pubkey"))
        openssl("pkeyutl", "-verify", "-pubin", "-inkey", str(dir / "key.pem"), "-rawin",
                "-in", str(dir / "signed"), "-sigfile", str(dir / "signature"))

    released = claims["body"]
    digest = hashlib.sha256(base64.b64decode(released["salt"]) + body.read_bytes()).digest()
    if digest != base64.b64decode(released["digest"]):
        sys.exit("NOT VERIFIED: this is not the body that was released")
    print(f"VERIFIED: {claims['records']} records of {claims['product']} were released to {claims['consumer']} "
          f"for {claims['purpose']} at {claims['issued_at']}")


main()
