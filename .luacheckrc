std = "max"
max_line_length = 100
exclude_files = { "build*" }
files["tests/lua"] = { std = "max+busted" }
