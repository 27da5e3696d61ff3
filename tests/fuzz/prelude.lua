-- What every generated program begins with. `coro` is the library that it runs on, `standard` the
-- standard one, `main` the main thread; `print` may be given to it.
local print = ... or print

-- Threads, the functions made for them, and the yields that safewrap gave them, by number.
local t, f, y, body = {}, {}, {}, {}
local names = setmetatable({}, { __mode = "k" })
local unpack = unpack or table.unpack

-- A value as the model predicts it: positions in this program are @.
local function shown(value)
  if type(value) == "function" then return "function" end
  if type(value) ~= "string" then return names[value] or tostring(value) end
  if value:find "^stack traceback:" then return "traceback" end
  local positions, found = "", nil
  repeat
    value, found = value:gsub("^program:%d+: ", "")
    positions = positions .. ("@"):rep(found)
  until found == 0
  return '"' .. positions .. value .. '"'
end

local function show(label, ...)
  local n = select("#", ...)
  local list = { ... }
  for i = 1, n do list[i] = shown(list[i]) end
  print(label .. ": " .. table.concat(list, " ", 1, n))
end

local function starts(number, ...)
  local thread = coro.running()
  names[thread] = "t" .. number
  t[number] = thread
  show("t" .. number .. " starts", ...)
end

-- An operation of main, whose errors end here.
local function do_main(run)
  local ok, err = pcall(run)
  if not ok then show("main fails", err) end
end

-- n values from first + 1 on, every third of them nil.
local function values(n, first)
  local list = {}
  for i = 1, n do
    if i % 3 ~= 0 then list[i] = first + i end
  end
  return unpack(list, 1, n)
end

local function object(number)
  local made = {}
  names[made] = "object" .. number
  return made
end

local function handler(label)
  return function(err)
    show(label .. " handles", err)
    return err
  end
end

local function closing(label)
  return setmetatable({}, { __close = function(_, err) show(label .. " closes", err) end })
end

local function ask(...)
  local answers = {}
  local function add(value) answers[#answers + 1] = value end
  if coro.current then add(coro.current() or "main") end
  if coro.isyieldable then add(coro.isyieldable()) end
  for _, number in ipairs { ... } do
    local thread = number == "main" and main or t[number]
    local status = thread and coro.status(thread) or "unknown"
    add(status)
    if status == "suspended" and tells_yieldable then add(coro.isyieldable(thread)) end
  end
  return unpack(answers)
end

local function misuse(call, argument)
  local ok, err = pcall(call, argument)
  return ok, (err:gsub("'.-'", "'?'"))
end

-- The program refers no more to what it drops; `dropped` tells what is still there.
local dropped, was_dropped = setmetatable({}, { __mode = "v" }), {}

local function drop(number)
  if t[number] then
    dropped[number] = t[number]
    was_dropped[#was_dropped + 1] = number
  end
  t[number], f[number], y[number] = nil, nil, nil
end

-- After a full collection: the dropped threads that are gone, how many threads there are and how
-- many of them are pinned.
local function collect(how)
  if how == "step" then collectgarbage "step" return end
  if how ~= "full" then
    if _VERSION == "Lua 5.4" then collectgarbage(how) end
    return
  end
  collectgarbage()
  if not collects_exactly then return end
  local gone = {}
  for _, number in ipairs(was_dropped) do
    if not dropped[number] then gone[#gone + 1] = "t" .. number end
  end
  local stats = coro.stats and coro.stats() or {}
  return table.concat(gone, " "), stats.threads, stats.pinned
end

-- Loads a chunk of one space from a reader that calls `run`, once. Not of nothing: if the first
-- piece is the end, Lua 5.1 asks again while nothing holds the chunk's name, which is collected.
local function read(run)
  return load(function()
    local once = run
    run = nil
    if once then
      once()
      return " "
    end
  end)
end
