import os

# The client asks for a key before it sends anything; what is replayed needs none.
os.environ.setdefault("OPENAI_API_KEY", "not-needed-for-replaying")
