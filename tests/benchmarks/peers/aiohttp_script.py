"""The script that one writes for speed: Arrow to Python objects, orjson, aiohttp, 8 requests in flight."""

import asyncio
import sys

import aiohttp
import orjson
import pyarrow.parquet as pq

BATCH, IN_FLIGHT = 500, 8


async def main(extract, url):
    free = asyncio.Semaphore(IN_FLIGHT)
    tasks = set()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:

        async def post(body):
            try:
                headers = {"x-api-key": "key", "Content-Type": "application/json"}
                async with session.post(f"{url}/orders", data=body, headers=headers) as answer:
                    await answer.read()
                    answer.raise_for_status()
            finally:
                free.release()

        for batch in pq.ParquetFile(extract).iter_batches(BATCH):
            await free.acquire()
            body = orjson.dumps({"mode": "AddOrReplace", "data": batch.to_pylist()}, default=float)
            task = asyncio.create_task(post(body))
            tasks.add(task)
            for done in [task for task in tasks if task.done()]:
                tasks.remove(done)
                done.result()
        await asyncio.gather(*tasks)


asyncio.run(main(*sys.argv[1:]))
