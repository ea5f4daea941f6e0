"""Files in: judged before any parser sees them, parsed in a child process, handed on as cells of text.

`process.open_table` is the door. All else runs in the child (`python -m facts.intake.child`), which has no Django, no
secret, no open file and little memory.
"""
