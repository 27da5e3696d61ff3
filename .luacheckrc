std = "max"
max_line_length = 100
exclude_files = { "build*" }
files["tests/lua"] = { std = "max+busted" }
-- The beginning of programs, not one of its own.
files["tests/fuzz/prelude.lua"] = { ignore = { "1", "2", "3" } }
-- What the host registers.
files["examples/native/echo_server.lua"] = {
  globals = { "listen", "accept", "connect", "spawn", "stop" },
}
-- Definitions without bodies.
files["annotations"] = { ignore = { "212" } }
