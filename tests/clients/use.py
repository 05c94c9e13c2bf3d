"""What somebody may write with the generated packages; run against the services."""

import sys

from consumption_client import Client
from consumption_client.api.watches import read_watch, record_watch
from consumption_client.models import NewWatch, Problem, WatchAnswer
from recommendation_client import Client as OtherClient
from recommendation_client.api.recommendations import recommend_for_user
from recommendation_client.models import Recommendations

consumption, recommendation = Client(base_url=sys.argv[1]), OtherClient(base_url=sys.argv[2])

recorded = record_watch.sync(
    client=consumption, body=NewWatch(user_id=42, lesson_id=100, position=314)
)
assert isinstance(recorded, WatchAnswer), recorded
assert read_watch.sync(recorded.id, client=consumption) == recorded

refused = record_watch.sync(
    client=consumption, body=NewWatch(user_id=42, lesson_id=100, position=-1)
)
assert isinstance(refused, Problem), refused
assert refused.status == 422

listed = recommend_for_user.sync(7, client=recommendation, limit=3, explain=True)
assert isinstance(listed, Recommendations), listed
