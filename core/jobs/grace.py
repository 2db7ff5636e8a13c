"""How long a tool that was asked to stop may take to end before it is killed; in seconds.

Each is for one kind of tool. Whoever starts another job must outlive it, to write down how that ended.
"""

# A tool of the engine ends the file it is writing: a checkpoint, a shard.
TOOL_GRACE = 20.0
# A command that waits for a tool's job stops that first, then says so.
COMMAND_GRACE = TOOL_GRACE + 10.0
# The chat server has nothing to save; whoever unloads it waits this long for the server to be gone.
CHAT_SERVER_GRACE, CHAT_SERVER_PATIENCE = 3.0, 30.0
