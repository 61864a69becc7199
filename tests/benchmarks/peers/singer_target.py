"""A target of singer-sdk: its BatchSink with batches of 500, and requests."""

import json
import sys
from decimal import Decimal

import requests
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink


class OrdersSink(BatchSink):
    max_size = 500
    session = requests.Session()

    def process_batch(self, context):
        records = context["records"]
        body = json.dumps({"mode": "AddOrReplace", "data": records}, default=plain)
        headers = {"x-api-key": "key", "Content-Type": "application/json"}
        self.session.post(f"{self.config['url']}/orders", data=body, headers=headers).raise_for_status()


def plain(value):
    return float(value) if isinstance(value, Decimal) else value.isoformat()


class TargetOrders(Target):
    name = "target-orders"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType, required=True)).to_dict()
    default_sink_class = OrdersSink


TargetOrders(config={"url": sys.argv[1]}).listen()
