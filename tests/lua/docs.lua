-- Runs every Lua example of a Markdown file as a program of its own, and compares what it prints
-- with what stands behind `-->` in it.
--   lua docs.lua MODULE_FOLDER FILE...
local modules = table.remove(arg, 1)
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
package.cpath = modules .. "/?.so;" .. modules .. "/tests/?.so;" .. package.cpath
local coro = require "coro"
require "mode"
local standard, load_text = coroutine, loadstring or load -- luacheck: ignore

local function examples_of(path)
  local examples, lines, first = {}, nil, nil
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    if line == "```lua" then
      lines, first = {}, number + 1
    elseif line == "```" and lines then
      table.insert(examples, { text = table.concat(lines, "\n"), line = first })
      lines = nil
    elseif lines then
      lines[#lines + 1] = line
    end
  end
  return examples
end

local function expected_of(text)
  local expected = {}
  for line in text:gmatch "[^\n]+" do
    local output = line:match "%-%-> ?(.*)$"
    if output then expected[#expected + 1] = output end
  end
  return table.concat(expected, "\n")
end

local function run(text, name)
  local printed = {}
  local environment = setmetatable({
    coro = coro,
    print = function(...)
      local values = {}
      for i = 1, select("#", ...) do values[i] = tostring((select(i, ...))) end
      printed[#printed + 1] = table.concat(values, "\t")
    end,
  }, { __index = _G })
  local program = assert(load_text(text, name))
  if setfenv then -- luacheck: ignore
    setfenv(program, environment) -- luacheck: ignore
  else
    debug.upvaluejoin(program, 1, function() return environment end, 1)
  end
  program()
  -- What `install` replaced for all.
  coroutine, package.loaded.coroutine = standard, standard -- luacheck: ignore
  return table.concat(printed, "\n")
end

local ran = 0
for _, path in ipairs(arg) do
  for _, example in ipairs(examples_of(path)) do
    local name = ("%s:%d"):format(path, example.line)
    local got, expected = run(example.text, "@" .. name), expected_of(example.text)
    if got ~= expected then
      error(("%s: prints\n%s\ninstead of\n%s"):format(name, got, expected), 0)
    end
    ran = ran + 1
  end
end
assert(ran > 0, "no examples found")
print(("%d examples"):format(ran))
