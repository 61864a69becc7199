"""The script that one writes first: pandas, json, requests, one request after the other."""

import json
import sys
from decimal import Decimal

import pandas as pd
import requests

BATCH = 500


def plain(value):
    """Return what json does not know: amounts, timestamps, and the arrays that pandas makes of lists."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if hasattr(value, "isoformat") else value.tolist()


def main(extract, url):
    frame = pd.read_parquet(extract)
    with requests.Session() as session:
        session.headers["x-api-key"] = "key"
        for start in range(0, len(frame), BATCH):
            records = frame.iloc[start : start + BATCH].to_dict("records")
            body = json.dumps({"mode": "AddOrReplace", "data": records}, default=plain)
            session.post(f"{url}/orders", data=body, headers={"Content-Type": "application/json"}).raise_for_status()


main(*sys.argv[1:])
