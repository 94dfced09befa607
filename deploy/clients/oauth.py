"""A grant by Authlib, which knows nothing of this hub, and a page read with it.

usage: oauth.py URL ROOTS CERTIFICATE KEY CLIENT_ID PATH

First by the client certificate alone (tls_client_auth), then with an assertion
signed by the same key as well (private_key_jwt). Authlib's own assertions last
an hour; this hub takes them for five minutes.
"""
import sys
import time

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

url, roots, certificate, key, client_id, path = sys.argv[1:]
token_endpoint = url + "/oauth2/token"


def read(title, session):
    session.cert, session.verify = (certificate, key), roots
    session.trust_env = False  # REQUESTS_CA_BUNDLE would take the place of roots
    session.fetch_token(token_endpoint, grant_type="client_credentials")
    page = session.get(url + path)
    page.raise_for_status()
    print(title, page.status_code, "receipt" if page.headers.get("Hub-Receipt") else "no receipt")


read("tls_client_auth", OAuth2Session(client_id, token_endpoint_auth_method="none"))

with open(key) as f:
    signer = PrivateKeyJWT(token_endpoint, claims={"exp": int(time.time()) + 120}, alg="ES256")
    session = OAuth2Session(client_id, client_secret=ECKey.import_key(f.read()), token_endpoint_auth_method=signer)
read("private_key_jwt", session)
