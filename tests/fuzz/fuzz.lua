-- The differential fuzzer: random programs, run on coro and compared with a model line by line.
--
--   lua fuzz.lua MODULES FIRST COUNT    plays COUNT programs, from the seed FIRST on; what fails
--                                       is made short and printed. MODULES: the folder of coro.so
--   lua fuzz.lua MODULES SEED           prints the program of a seed, what the model predicts for
--                                       it, and how it went
--
-- So `lua5.4 tests/fuzz/fuzz.lua build/lua5.4 17` reproduces what CTest reported for seed 17. A
-- seed gives the same program on every Lua. Programs that the standard library knows, too
-- (asymmetric ones), are also run on that and compared with the same model.
--
-- Programs are played in processes of their own, since what is wrong may crash: this process only
-- starts them and looks for short programs that fail.
local here = arg[0]:match "^(.*/)" or "./"
package.path = here .. "?.lua;" .. package.path
package.cpath = arg[1] .. "/?.so;" .. package.cpath

local generate = require "generate"
local shrink = require "shrink"
local stage = require "stage"
local version = require "versions"(jit and "luajit" or _VERSION:match "%d%.%d")

local arguments = arg -- 5.1 has another one in each function with ...

-- ---- the process that plays -----------------------------------------------------------------

local function play(program)
  stage.play(program, version, false)
  if program.asymmetric then stage.play(program, version, true) end
end

local function play_seeds(first, count)
  for seed = first, first + count - 1 do
    io.write("seed ", seed, "\n")
    io.flush()
    play(generate(seed))
  end
  io.write "done\n"
end

local function play_file(name)
  play(dofile(name))
  io.write "done\n"
end

-- ---- the process that starts it -------------------------------------------------------------

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Plays in a process of its own: whether all went well, the last seed, and what it said.
local function start(...)
  local command = { "timeout 600" }
  local interpreter = -1
  while arguments[interpreter - 1] do interpreter = interpreter - 1 end
  for i = interpreter, 1 do command[#command + 1] = quote(arguments[i]) end
  for _, argument in ipairs { ... } do command[#command + 1] = quote(tostring(argument)) end
  local pipe = assert(io.popen(table.concat(command, " ") .. " 2>&1; echo exit $?"))
  local seed, said, done, status = nil, {}, false, nil
  for line in pipe:lines() do
    seed = tonumber(line:match "^seed (%d+)$") or seed
    done = done or line == "done"
    status = line:match "^exit (%d+)$"
    if not line:find "^seed %d+$" and not status then said[#said + 1] = line end
  end
  pipe:close()
  if status ~= "0" then said[#said + 1] = "the process ended with status " .. tostring(status) end
  return done and status == "0", seed, table.concat(said, "\n")
end

local function written(value)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
  end
  local list = {}
  for k, v in pairs(value) do list[#list + 1] = "[" .. written(k) .. "]=" .. written(v) end
  return "{" .. table.concat(list, ",") .. "}"
end

local function play_alone(program)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write("return ", written(program))
  file:close()
  local ok, _, said = start("file", name)
  os.remove(name)
  return ok, said
end

local function print_program(program)
  local is_standard = false
  if program.asymmetric then -- which of the two fails?
    program.asymmetric = false
    is_standard = play_alone(program)
    program.asymmetric = true
  end
  print(stage.describe(program, version, is_standard))
end

local function report(seed, first, said)
  print(("seed %d fails on %s:\n%s"):format(seed, version.name, said))
  local program = generate(seed)
  if play_alone(program) then
    print(("not by itself, only after the seeds from %d on"):format(first))
    return
  end
  local short, tries = shrink(program, function(candidate) return not play_alone(candidate) end)
  print(("made short in %d tries:\n"):format(tries))
  print_program(short)
  print(select(2, play_alone(short)))
end

-- How many programs a process plays.
local portion = 500

local first, count = arg[2], tonumber(arg[3])
if first == "file" then
  play_file(arg[3])
elseif first == "seeds" then
  play_seeds(tonumber(arg[3]), tonumber(arg[4]))
elseif count then
  local last = tonumber(first) + count - 1
  for from = tonumber(first), last, portion do
    local ok, seed, said = start("seeds", from, math.min(portion, last - from + 1))
    if not ok then
      report(seed or from, from, said)
      os.exit(1)
    end
  end
  print(("%d programs as predicted"):format(count))
else
  local program = generate(tonumber(first))
  print_program(program)
  local ok, said = play_alone(program)
  print(said)
  os.exit(ok and 0 or 1)
end
