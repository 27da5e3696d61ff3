-- As in the standard library: create and resume, and how errors come out of a thread.
local fixture = require "fixture"
local compatibility = require "compatibility"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack
local version = compatibility.version
local names_module_functions = compatibility.names_module_functions
local program = compatibility.program
local two_if_failed = compatibility.two_if_failed
local log_refusal = compatibility.log_refusal

program("create gives a new thread each time", function(co, log)
  local function f() end
  local a, b = co.create(f), co.create(f)
  log(type(a), type(b), a == b, a == a, co.status(a)) -- luacheck: ignore
end)

program("create refuses what is no function", function(co, log)
  for _, value in ipairs { 1, "text", true, {}, setmetatable({}, { __call = print }) } do
    log_refusal(log, pcall(function() return (co.create(value)) end))
    if names_module_functions then log_refusal(log, pcall(co.create, value)) end
  end
  log_refusal(log, pcall(function() return (co.create()) end))
  log_refusal(log, pcall(function() return (co.create(nil)) end))
end)

program("create ignores further arguments", function(co, log)
  local thread = co.create(function(...) return select("#", ...) end, 1, 2, 3)
  log(co.resume(thread))
end)

-- resume and yield -----------------------------------------------------------------------------

program("resume passes arguments and yield passes results", function(co, log)
  local thread = co.create(function(...)
    log("start", select("#", ...), ...)
    log("first", co.yield(1, nil, "three", nil))
    log("second", co.yield())
    log("third", co.yield(nil))
    return "end", nil, nil
  end)
  log(co.resume(thread, "a", nil, "c", nil))
  log(co.resume(thread, nil, "e", nil))
  log(co.resume(thread))
  log(co.resume(thread, nil))
  log(co.resume(thread))
  log(co.resume(thread, "again"))
end)

for _, n in ipairs { 0, 1, 7, 20, 41, 250 } do
  program("resume and yield pass " .. n .. " values", function(co, log)
    local values = {}
    for i = 1, n do values[i] = i % 4 ~= 0 and i or nil end
    local thread = co.create(function(...)
      local got = pack(...)
      for _ = 1, 2 do got = pack(co.yield(unpack(got, 1, got.n))) end
      return unpack(got, 1, got.n)
    end)
    for _ = 1, 4 do log(two_if_failed(co.resume(thread, unpack(values, 1, n)))) end
  end)
end

program("resume of a thread without parameters drops the arguments", function(co, log)
  log(co.resume(co.create(function() return "only this" end), 1, 2, 3))
end)

program("resume refuses what is no thread", function(co, log)
  for _, value in ipairs { 1, "text", true, {}, print } do
    log(pcall(function() return (co.resume(value)) end))
    if names_module_functions then log(pcall(co.resume, value)) end
  end
  log(pcall(function() return (co.resume()) end))
  log(pcall(function() return (co.resume(nil, 1)) end))
end)

program("resume of a dead thread fails", function(co, log)
  local finished = co.create(function() return 1 end)
  co.resume(finished)
  log(co.resume(finished))
  log(co.resume(finished, 1, 2))
  local failed = co.create(function() error "x" end)
  co.resume(failed)
  log(co.resume(failed))
  log(co.resume(failed, 1, 2))
end)

-- 5.2 and 5.3 take a thread for dead that has nothing on its stack just then, hence the arguments.
program("resume of the running thread fails", function(co, log)
  local thread
  thread = co.create(function()
    log(co.resume(thread, 1))
    log(co.status(thread))
    return "went on"
  end)
  log(co.resume(thread))
end)

program("resume of a thread that resumed this one fails", function(co, log)
  local outer, inner
  inner = co.create(function()
    log(co.resume(outer, 1))
    log(co.status(outer), co.status(inner))
    co.yield "inner"
  end)
  outer = co.create(function()
    log(co.resume(inner))
    return "outer"
  end)
  log(co.resume(outer))
end)

if version >= 5.2 then
  program("resume of the main thread fails", function(co, log)
    log(co.resume(co.create(function()
      return two_if_failed(co.resume(coro.main, 1))
    end)))
  end)
end

program("resume returns errors of every type", function(co, log)
  local thread = co.create(function() end)
  for _, value in ipairs { "text", 12, true, false, {}, print, thread, io.stdout } do
    local got = pack(two_if_failed(co.resume(co.create(function() error(value, 0) end))))
    log(got.n, got[1], got[2], got[2] == value)
  end
  log(two_if_failed(co.resume(co.create(function() error() end))))
  log(two_if_failed(co.resume(co.create(function() error(nil, 0) end))))
end)

program("errors in threads have their positions", function(co, log)
  local function failing(level) error("text", level) end
  for level = 0, 3 do
    log(two_if_failed(co.resume(co.create(function()
      failing(level)
      return 1
    end))))
  end
  log(two_if_failed(co.resume(co.create(function() return failing(1) end))))
  log(two_if_failed(co.resume(co.create(failing), 1)))
  log(two_if_failed(co.resume(co.create(failing), 2)))
  log(two_if_failed(co.resume(co.create(function(x) return x.field.field end), {})))
  log(two_if_failed(co.resume(co.create(function() return ("x"):rep {} end))))
  log(two_if_failed(co.resume(co.create(function() return {} .. "x" end))))
end)

program("pcall in a thread catches errors, and the thread goes on", function(co, log)
  local thread = co.create(function()
    log(pcall(error, "text", 0))
    local x = co.yield "after"
    log(pcall(error, { x }))
    return "end"
  end)
  log(co.resume(thread))
  log(co.resume(thread, 1))
  log(co.status(thread))
end)

compatibility.check(describe, it, before_each, after_each)
