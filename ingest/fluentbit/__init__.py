"""The dialects of Fluent Bit's `http` output.

What is promised, whatever a body holds:

- Nothing inside a record becomes a record, nor a part of another one: a pod chooses what its records hold.
- A record that says where it ends costs no other. It is mended if that is all it needs, or else skipped and counted. In
  JSON it says so if its quotes and brackets pair up, whatever is between them; in JSON with nothing between records,
  only if it could be read as well. In MessagePack it says so by its lengths, down to 1,024 values inside each other.
- Where a record does not say where it ends, the start of the next one is unknown. All that follows is lost, and
  counted as well as can be. In a body with a record a line, what follows is the rest of the line.
- A record is lost as well if it is followed by what is neither a record nor the end: a damaged bracket or length may
  have ended it too early, with what was inside it among its own members. Only a damaged length that happens to lead to
  the end of another whole value goes unnoticed, since MessagePack has nothing to check it by.
- A record of more than 4 MiB is skipped. Odd records of one body may take some seconds in all, a few milliseconds at a
  time; then the rest of the body is lost, and counted.
- No pod can name the file that its lines are in: where a record contradicts the tag, the tag is right.
"""
