-- Runs one program and compares what it prints with what the model predicts, line by line. At the
-- first difference it ends the process: nothing can be trusted to go on.
--
--   stage.play(program, version, standard)   `standard`: on the standard library
local coro = require "coro"
local model = require "model"
local operations = require "operations"
local source = require "source"

-- Only programs are compiled by LuaJIT; it would spend most of its time on the model else.
if jit then jit.off() end

local stage = {}

local counters = { "threads", "mounted", "pinned", "stacks_in_use" }

-- The model of the program, run to its end.
function stage.predict(program, version, standard)
  local omitted = {}
  while true do
    local m = model.new(program, version, standard)
    m.omitted = omitted
    if m:run(operations) then return m end
  end
end

local function fail(text)
  io.stdout:write("FAILED ", text:gsub("\n", "\n| "), "\n")
  io.stdout:flush()
  os.exit(1)
end

local function compile(text)
  return assert((loadstring or load)(text, "=program")) -- luacheck: ignore
end

-- LuaJIT's collector takes what an earlier call left in the slots of a later one for alive.
local function wipe_stack(depth)
  local a, b, c, d, e, f, g, h = nil, nil, nil, nil, nil, nil, nil, nil
  if depth > 0 then wipe_stack(depth - 1) end
  return a, b, c, d, e, f, g, h
end

local function collect()
  wipe_stack(50)
  for _ = 1, 2 do collectgarbage() end
end

local standard_library = coroutine
local settings = coro.configure()

local function put_back(program)
  rawset(_G, "coroutine", standard_library)
  package.loaded.coroutine = standard_library
  collectgarbage "restart"
  if program.collector == "eager" then
    collectgarbage("setpause", 200)
    collectgarbage("setstepmul", _VERSION == "Lua 5.4" and 100 or 200)
  end
  if _VERSION == "Lua 5.4" then collectgarbage "incremental" end
  for name in pairs(package.loaded) do
    if name:find "^required %d" then package.loaded[name] = nil end
  end
  for name in pairs(package.preload) do
    if name:find "^required %d" then package.preload[name] = nil end
  end
  coro.configure(settings)
end

-- A line about a collection without what the model does not know.
local function without(line, maybe)
  local label, gone = line:match '^(.-: )"(.-)"'
  if not label then return line end
  for name in pairs(maybe) do gone = (gone .. " "):gsub(name .. " ", "") end
  return label .. gone:gsub(" +$", "")
end

-- The program and the lines it is to print, to be read.
function stage.describe(program, version, standard)
  local m = stage.predict(program, version, standard)
  local text = source.write(program, version, standard, m.omitted)
  return text .. "\n-- expected:\n--   " .. table.concat(m.lines, "\n--   ")
end

local before

-- What is there that was not before, or nil.
local function left_behind()
  collect()
  local after = coro.stats()
  for _, counter in ipairs(counters) do
    if after[counter] ~= before[counter] then
      return ("left behind: %d %s, %d before"):format(after[counter], counter, before[counter])
    end
  end
  return nil
end

function stage.play(program, version, standard)
  before = before or coro.stats()
  local m = stage.predict(program, version, standard)
  local lines, at = m.lines, 0
  local function compare(line)
    at = at + 1
    local maybe = m.maybe[at]
    if maybe then line, lines[at] = without(line, maybe), without(lines[at], maybe) end
    if line ~= lines[at] then
      fail(("line %d\nexpected %s\ngot      %s"):format(at, lines[at] or "the end", line))
    end
  end
  local run = compile(source.write(program, version, standard, m.omitted))
  if jit then jit.on() end
  run(compare)
  if jit then jit.off() end
  if at < #lines then compare "the end" end

  put_back(program)
  local left = left_behind()
  if left and jit then
    jit.flush() -- compiled code keeps the functions alive that it was compiled for
    left = left_behind()
  end
  if left then fail(left) end
end

return stage
