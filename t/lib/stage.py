"""What a .t file does to MongoDB, Redis and RabbitMQ beside its HTTP requests: sets the stage and looks behind it.

  stage.py put COLLECTION DOCUMENT...      documents as Extended JSON; one of the same _id is replaced
  stage.py drop COLLECTION ID...
  stage.py show COLLECTION ID              one line of canonical Extended JSON with sorted keys, or "none"
  stage.py cache KEY VALUE                 a string into Redis, for half an hour as the services do
  stage.py cache-ever KEY VALUE            the same, without an expiry
  stage.py cache-list KEY VALUE            a list, a type that nobody expects
  stage.py uncache KEY...
  stage.py cached KEY                      the value, or "none"
  stage.py drain QUEUE                     empties it
  stage.py take QUEUE                      the next message as JSON {body, properties}, acknowledged; waits 3 s;
                                           or "none"

Words of one command are arguments; several commands are separated by the argument "--".
"""

import json
import os
import sys
import time


def collection(name):
    import pymongo
    return pymongo.MongoClient(os.environ["MONGO_URL"]).api_db[name]


def cache():
    import redis
    return redis.Redis.from_url(os.environ["REDIS_URL"])


def put(name, *documents):
    from bson import json_util
    for text in documents:
        document = json_util.loads(text, json_options=json_util.CANONICAL_JSON_OPTIONS)
        collection(name).replace_one({"_id": document["_id"]}, document, upsert=True)


def drop(name, *ids):
    collection(name).delete_many({"_id": {"$in": list(ids)}})


def show(name, key):
    from bson import json_util
    document = collection(name).find_one({"_id": key})
    print("none" if document is None
          else json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS, sort_keys=True))


def with_channel(queue, act):
    import pika
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    try:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        return act(channel)
    finally:
        connection.close()


def take(queue):
    def act(channel):
        end = time.monotonic() + 3
        while time.monotonic() < end:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method:
                known = {k: v for k, v in vars(properties).items() if v is not None}
                return json.dumps({"body": body.decode(), "properties": known}, sort_keys=True, default=str)
            time.sleep(0.02)
        return "none"
    print(with_channel(queue, act))


def cached(key):
    value = cache().get(key)
    print("none" if value is None else value.decode())


COMMANDS = {
    "put": put, "drop": drop, "show": show, "take": take, "cached": cached,
    "cache": lambda key, value: cache().set(key, value, ex=1800),
    "cache-ever": lambda key, value: cache().set(key, value),
    "cache-list": lambda key, value: (cache().delete(key), cache().rpush(key, value)),
    "uncache": lambda *keys: cache().delete(*keys),
    "drain": lambda queue: with_channel(queue, lambda channel: channel.queue_purge(queue)),
}


def main(words):
    while words:
        end = words.index("--") if "--" in words else len(words)
        COMMANDS[words[0]](*words[1:end])
        words = words[end + 1:]


main(sys.argv[1:])
