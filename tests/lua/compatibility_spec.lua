-- The functions that coro shares with the standard library do what those of the running version do.
-- Every program below is run with either library, and must log the same: values, error texts,
-- statuses. What is meant to differ has a test of its own at the end.
local fixture = require "fixture"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack
local standard = fixture.standard

local version = tonumber(_VERSION:match "%d%.%d")
local is_51 = fixture.lua == "Lua 5.1"
-- The standard yield of 5.1 does not get out of pcall, metamethods and iterators.
local yields_through_pcall = not is_51
-- 5.2 finds the names of functions that have none where they are called in the globals only, where
-- coro is not.
local names_module_functions = version ~= 5.2

local function compile(source)
  return assert((loadstring or load)(source, "=text")) -- luacheck: ignore
end

-- programs[i] = { name, run = function(co, log), only_plain = boolean }
-- `co` is the library, `log(...)` notes values. A program that asks about the thread that it is
-- called in, is only_plain: run in main and in a resumed thread, and nowhere else.
local programs = {}
local function program(name, run) programs[#programs + 1] = { name = name, run = run } end
local function plain_program(name, run)
  programs[#programs + 1] = { name = name, run = run, only_plain = true }
end

-- coro's resume gives a traceback, too.
local function two_if_failed(ok, ...)
  if ok then return ok, ... end
  return ok, (...)
end

-- Calls that are no tail calls, so that errors have a position to tell.
local function call(f, ...)
  local results = pack(f(...))
  return unpack(results, 1, results.n)
end

-- create ---------------------------------------------------------------------------------------

program("create gives a new thread each time", function(co, log)
  local function f() end
  local a, b = co.create(f), co.create(f)
  log(type(a), type(b), a == b, a == a, co.status(a)) -- luacheck: ignore
end)

-- 5.1 wants a Lua function.
local function log_refusal(log, ...)
  if is_51 then log((...)) else log(...) end
end

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

program("yield works in functions that the thread calls, and in tail calls", function(co, log)
  local function deep(n)
    if n == 0 then return co.yield "bottom" end
    local x = deep(n - 1)
    return x + 1
  end
  local function tail(n)
    if n == 0 then return co.yield "tail" end
    return tail(n - 1)
  end
  local thread = co.create(function() return deep(20), tail(20) end)
  log(co.resume(thread))
  log(co.resume(thread, 1))
  log(co.resume(thread, "t1", "t2"))
  log(co.status(thread))
end)

program("yield works in arguments, constructors, conditions and assignments", function(co, log)
  local thread = co.create(function()
    local t = { co.yield(1), (co.yield(2)), x = co.yield(3), co.yield(4) }
    log(#t, t[1], t[2], t.x, t[3], t[4])
    log(select(co.yield(5), co.yield(6)))
    if co.yield(7) then log "true" else log "false" end
    local a, b, c = co.yield(8), co.yield(9)
    log(a, b, c)
    t[co.yield(10)] = co.yield(11)
    for i = co.yield(12), co.yield(13), co.yield(14) do log(i) end
    while co.yield(15) do log "loop" end
    repeat local x = co.yield(16) until x
    return co.yield(17) .. co.yield(18)
  end)
  local replies = { {}, { "a", "b" }, { "c", "d" }, { "e", "f" }, { "g", "h" }, { 2 }, { 1, 2, 3 },
                    { nil }, { "i", "j" }, { "k", "l" }, { "key" }, { "value" }, { 1 }, { 5 },
                    { 2 }, { true }, { false }, { false }, { true }, { "x" }, { "y" } }
  for _, reply in ipairs(replies) do log(co.resume(thread, unpack(reply))) end
  log(co.status(thread))
end)

if yields_through_pcall then
  program("yield works in pcall and xpcall", function(co, log)
    local thread = co.create(function(...)
      log(pcall(function(...)
        log(co.yield("in pcall", ...))
        error("text", 0)
      end, ...))
      log(pcall(co.yield, "called by pcall", nil))
      log(xpcall(function() return co.yield "in xpcall" end, debug.traceback))
      log(xpcall(function()
        co.yield "before an error"
        error("text", 0)
      end, function(message) return message .. "!" end))
      log(pcall(pcall, pcall, co.yield, "deep"))
      log(pcall(function()
        log(pcall(function()
          co.yield "inner"
          error({}, 0)
        end))
        co.yield "outer"
        error("outer", 0)
      end))
      return "end"
    end)
    for i = 1, 9 do log(two_if_failed(co.resume(thread, i, nil))) end
  end)

  program("yield works in metamethods and iterators", function(co, log)
    local object = setmetatable({}, {
      __index = function(_, k) return co.yield("index", k) end,
      __newindex = function(_, k, v) log("newindex", co.yield(k, v)) end,
      __add = function(_, b) return (co.yield("add", b)) end,
      __concat = function(_, b) return (co.yield("concat", b)) end,
      __unm = function() return (co.yield "unm") end,
      __call = function(_, ...) return co.yield("call", ...) end,
      __lt = function() return (co.yield "lt") end,
      __le = function() return (co.yield "le") end,
      __eq = function() return (co.yield "eq") end,
    })
    local other = setmetatable({}, getmetatable(object))
    local thread = co.create(function()
      log(object.x, object[1], object + 1, object .. "s", -object)
      object.y = 2
      log(object(1, nil))
      log(object < other, object > other, object <= other, object == other, object ~= other)
      for a, b in function(_, i) return co.yield("iterator", i) end, nil, 0 do log(a, b) end
      return "end"
    end)
    local replies = { {}, { "i1" }, { "i2" }, { "a" }, { "c" }, { "u" }, { "n" }, { "c1", "c2" },
                      { true }, { false }, { 1 }, { nil }, { true }, { 1, "a" }, { 2, "b" },
                      { nil } }
    for _, reply in ipairs(replies) do log(two_if_failed(co.resume(thread, unpack(reply)))) end
    log(co.status(thread))
  end)
end

program("a thread resumed inside another yields to it", function(co, log)
  local inner = co.create(function(x)
    while true do x = co.yield("inner " .. x) end
  end)
  local outer = co.create(function(x)
    while true do
      log(co.resume(inner, x))
      x = co.yield("outer " .. x)
    end
  end)
  for i = 1, 3 do
    log(co.resume(outer, i))
    log(co.resume(inner, "direct " .. i))
    log(co.status(outer), co.status(inner))
  end
end)

program("a thread is resumed by several others in turn", function(co, log)
  local shared = co.create(function()
    for i = 1, 6 do co.yield(i) end
    return "over"
  end)
  local function user(name)
    return co.create(function()
      for _ = 1, 4 do
        log(name, co.resume(shared))
        co.yield()
      end
    end)
  end
  local a, b = user "a", user "b"
  for _ = 1, 4 do
    co.resume(a)
    co.resume(b)
  end
  log(co.status(shared))
end)

program("an error goes up as far as it is not caught", function(co, log)
  local function nest(n)
    return co.create(function()
      if n == 0 then error("bottom", 0) end
      local ok, err = co.resume(nest(n - 1))
      log(n, ok, err)
      if n < 3 then error(err, 0) end
      return err
    end)
  end
  log(two_if_failed(co.resume(nest(5))))
end)

program("local variables are shared with closures while the thread is suspended", function(co, log)
  local get, set, thread
  thread = co.create(function()
    local x = 1
    get, set = function() return x end, function(v) x = v end
    co.yield()
    x = x + 1
    co.yield()
    return x
  end)
  co.resume(thread)
  set(10)
  log(get())
  co.resume(thread)
  log(get())
  set(20)
  log(co.resume(thread))
  set(30)
  log(get(), co.status(thread))
end)

program("a thread goes on after a collection in any state", function(co, log)
  local thread = co.create(function()
    local data = {}
    for i = 1, 5 do
      data[i] = ("x"):rep(i)
      collectgarbage()
      co.yield(#data)
      collectgarbage()
    end
    return table.concat(data, " ")
  end)
  repeat
    log(co.resume(thread))
    collectgarbage()
  until co.status(thread) == "dead"
end)

program("a thread that nothing reaches is collected, suspended or not", function(co, log)
  local threads = setmetatable({}, { __mode = "v" })
  do
    threads[1] = co.create(function() end)
    threads[2] = co.create(function() co.yield() end)
    co.resume(threads[2])
    threads[3] = co.create(function() error "x" end)
    co.resume(threads[3])
  end
  fixture.collect()
  log(threads[1] == nil, threads[2] == nil, threads[3] == nil)
end)

if version >= 5.2 then
  program("more values than a stack holds are an error of resume", function(co, log)
    local many = {}
    for i = 1, 600000 do many[i] = i end
    local taking = co.create(function(...)
      co.yield "holds them"
      return (...)
    end)
    log(co.resume(taking, unpack(many)))
    log(two_if_failed(co.resume(taking, unpack(many))))
    log(co.status(taking))
    log(two_if_failed(co.resume(taking)))

    local giving = co.create(function() return unpack(many) end)
    local function take_besides(...)
      local results = pack(two_if_failed(co.resume(giving)))
      return select("#", ...), unpack(results, 1, results.n)
    end
    log(take_besides(unpack(many, 1, 450000)))
    log(co.status(giving))
  end)
end

-- wrap -----------------------------------------------------------------------------------------

program("wrap gives a function that resumes", function(co, log)
  local f = co.wrap(function(...)
    log("start", ...)
    log("back", co.yield(1, nil))
    return "end", nil
  end)
  log(type(f))
  log(f("a", nil))
  log(f(nil, "b"))
  log(pcall(call, f))
  log(pcall(f))
end)

program("wrap refuses what is no function", function(co, log)
  for _, value in ipairs { 1, "text", true, {} } do
    log_refusal(log, pcall(function() return (co.wrap(value)) end))
    if names_module_functions then log_refusal(log, pcall(co.wrap, value)) end
  end
  log_refusal(log, pcall(function() return (co.wrap()) end))
end)

program("wrap raises errors with its position", function(co, log)
  for _, value in ipairs { "text", 12, true, {} } do
    local f = co.wrap(function()
      co.yield()
      error(value)
    end)
    f()
    log(pcall(call, f))
    log(pcall(call, f))
    log(pcall(call, co.wrap(function() error(value, 0) end)))
    log(pcall(co.wrap(function() error(value, 2) end)))
  end
end)

program("wrap functions are generators", function(co, log)
  local function permutations(t, n)
    n = n or #t
    if n <= 1 then
      co.yield(table.concat(t))
    else
      for i = 1, n do
        t[n], t[i] = t[i], t[n]
        permutations(t, n - 1)
        t[n], t[i] = t[i], t[n]
      end
    end
  end
  for p in co.wrap(function() permutations { "a", "b", "c", "d" } end) do log(p) end
end)

program("wrap functions in a row are a sieve", function(co, log)
  local function numbers() for i = 2, 60 do co.yield(i) end end
  local function filter(p, generator)
    return co.wrap(function()
      for n in generator do
        if n % p ~= 0 then co.yield(n) end
      end
    end)
  end
  local generator = co.wrap(numbers)
  while true do
    local p = generator()
    if not p then break end
    log(p)
    generator = filter(p, generator)
  end
end)

program("wrap functions in wrap functions walk a tree", function(co, log)
  local function walk(tree)
    return co.wrap(function()
      if type(tree) ~= "table" then
        co.yield(tree)
      else
        for _, branch in ipairs(tree) do
          for leaf in walk(branch) do co.yield(leaf) end
        end
      end
    end)
  end
  for leaf in walk { 1, { 2, { 3, 4 }, {} }, { { { 5 } } }, 6 } do log(leaf) end
end)

program("a producer, a filter and a consumer", function(co, log)
  local producer = co.create(function()
    for _, line in ipairs { "one", "two", "three" } do co.yield(line) end
    return nil
  end)
  local filter = co.create(function()
    local n = 1
    while true do
      local _, line = co.resume(producer)
      if not line then return nil end
      co.yield(n .. " " .. line)
      n = n + 1
    end
  end)
  repeat
    local ok, line = co.resume(filter)
    log(ok, line, co.status(producer), co.status(filter))
  until not line
end)

program("a dispatcher", function(co, log)
  local threads = {}
  for i = 1, 3 do
    threads[i] = co.create(function()
      for round = 1, i do
        log("task", i, round)
        co.yield()
      end
      if i == 2 then error("task fails", 0) end
      return "done"
    end)
  end
  while #threads > 0 do
    for i = #threads, 1, -1 do
      log(i, two_if_failed(co.resume(threads[i])))
      if co.status(threads[i]) == "dead" then table.remove(threads, i) end
    end
  end
end)

program("threads nest a hundred deep", function(co, log)
  local function nest(n)
    if n == 0 then return "bottom" end
    return co.wrap(function()
      local x = nest(n - 1)
      co.yield(x .. n % 10)
    end)()
  end
  log(nest(100))
end)

if not is_51 then
  program("C functions are bodies of threads", function(co, log)
    log(co.resume(co.create(math.max), 1, 3, 2))
    log(co.resume(co.create(co.yield), 1, 2))
    local thread = co.create(co.yield)
    log(co.resume(thread, "out"))
    log(co.resume(thread, "back", nil))
    log(co.resume(thread))
    log(co.resume(co.create(pcall), error, "text"))
    log(co.resume(co.create(co.resume), co.create(function(x) return x end), 5))
    log(co.resume(co.create(co.status), co.create(print)))
    log(two_if_failed(co.resume(co.create(error), "text")))
    log(two_if_failed(co.resume(co.create(error), "text", 0)))
    log(two_if_failed(co.resume(co.create(string.rep))))
    log(pcall(co.wrap(error), {}))
    log(co.wrap(select)("#", nil, nil))
  end)
end

-- status ---------------------------------------------------------------------------------------

program("status says what a thread does", function(co, log)
  local outer, inner
  inner = co.create(function()
    log(co.status(outer), co.status(inner))
    co.yield()
    log(co.status(outer), co.status(inner))
  end)
  outer = co.create(function()
    log(co.status(outer), co.status(inner))
    co.resume(inner)
    log(co.status(outer), co.status(inner))
    co.yield()
    co.resume(inner)
    log(co.status(outer), co.status(inner))
    error "x"
  end)
  log(co.status(outer), co.status(inner))
  co.resume(outer)
  log(co.status(outer), co.status(inner))
  co.resume(outer)
  log(co.status(outer), co.status(inner))
end)

program("status refuses what is no thread", function(co, log)
  for _, value in ipairs { 1, "text", true, {}, print } do
    log(pcall(function() return (co.status(value)) end))
    if names_module_functions then log(pcall(co.status, value)) end
  end
  log(pcall(function() return (co.status()) end))
end)

if version >= 5.2 then
  plain_program("status of the main thread", function(co, log)
    log(co.status(coro.main))
    co.resume(co.create(function() log(co.status(coro.main)) end))
  end)
end

-- running --------------------------------------------------------------------------------------

plain_program("running gives the thread, and whether it is the main one", function(co, log)
  local results = pack(co.running())
  log(results.n, type(results[1]), results[2])
  local thread
  thread = co.create(function()
    local inside = pack(co.running())
    log(inside.n, inside[1] == thread, inside[2])
    co.wrap(function()
      local deeper = pack(co.running())
      log(deeper.n, type(deeper[1]), deeper[1] == thread, deeper[2])
    end)()
    co.yield()
    log(co.running() == thread)
  end)
  co.resume(thread)
  co.resume(thread)
  log(co.running(1, 2) == results[1])
end)

-- isyieldable ----------------------------------------------------------------------------------

if standard.isyieldable then
  plain_program("isyieldable says whether yield would work here", function(co, log)
    log(co.isyieldable())
    co.wrap(function()
      log(co.isyieldable())
      log(pcall(co.isyieldable))
      co.yield()
    end)()
  end)
end

if version >= 5.4 then
  plain_program("isyieldable of other threads", function(co, log)
    local outer
    local fresh, finished = co.create(function() end), co.create(function() end)
    local suspended = co.create(function() co.yield() end)
    local failed = co.create(function() error "x" end)
    co.resume(finished)
    co.resume(suspended)
    co.resume(failed)
    log(co.isyieldable(fresh), co.isyieldable(finished), co.isyieldable(suspended))
    log(co.isyieldable(failed), co.isyieldable(coro.main))
    outer = co.create(function()
      log(co.isyieldable(outer))
      co.wrap(function() log(co.isyieldable(outer), co.isyieldable(coro.main)) end)()
    end)
    co.resume(outer)
  end)

  program("isyieldable refuses what is no thread", function(co, log)
    for _, value in ipairs { 1, "text", true, {} } do
      log(pcall(function() return (co.isyieldable(value)) end))
      log(pcall(co.isyieldable, value))
    end
  end)
end

-- close ----------------------------------------------------------------------------------------

if standard.close then
  local function new_closing(log, name, err)
    return setmetatable({}, { __close = function(_, e)
      log("closing", name, e)
      if err then error(err, 0) end
    end })
  end

  -- A thread with two to-be-closed variables, suspended.
  local function new_open(co, log, first_error, second_error)
    local thread = co.create(compile [[
      local yield, a, b = ...
      local x <close> = a
      local y <close> = b
      yield "open"
      return "not closed"
    ]])
    log(co.resume(thread, co.yield, new_closing(log, "a", first_error),
                  new_closing(log, "b", second_error)))
    return thread
  end

  program("close of a thread in each state", function(co, log)
    local fresh = co.create(function() log "does not run" end)
    log(co.close(fresh))
    log(co.status(fresh), co.resume(fresh))
    local suspended = co.create(function() co.yield() log "does not go on" end)
    co.resume(suspended)
    log(co.close(suspended))
    log(co.status(suspended), co.resume(suspended))
    local finished = co.create(function() return 1 end)
    co.resume(finished)
    log(co.close(finished))
    log(co.status(finished))
    log(co.close(finished))
  end)

  program("close of a failed thread gives its error, once", function(co, log)
    for _, value in ipairs { "text", 12, {}, false } do
      local failed = co.create(function() error(value, 0) end)
      co.resume(failed)
      log(co.close(failed))
      log(co.close(failed))
      log(co.status(failed), co.resume(failed))
    end
  end)

  program("close closes variables, the last one first", function(co, log)
    local thread = new_open(co, log)
    log(co.close(thread))
    log(co.status(thread))
    log(co.close(thread))
  end)

  program("close gives the error of a __close method", function(co, log)
    log(co.close(new_open(co, log, "first")))
    log(co.close(new_open(co, log, nil, "second")))
    local thread = new_open(co, log, "first", "second")
    log(co.close(thread))
    log(co.status(thread))
    log(co.close(thread))
  end)

  program("close of a thread suspended in pcall", function(co, log)
    local thread = co.create(compile [[
      local yield, value, log = ...
      log(pcall(function()
        local x <close> = value
        yield "in pcall"
      end))
      log "does not go on"
    ]])
    log(co.resume(thread, co.yield, new_closing(log, "a"), log))
    log(co.close(thread))
    log(co.status(thread))
  end)

  program("close of a thread suspended in a __close method", function(co, log)
    local thread = co.create(compile [[
      local outer, inner = ...
      local x <close> = outer
      do
        local y <close> = inner
      end
    ]])
    log(co.resume(thread, new_closing(log, "outer"), setmetatable({}, { __close = function()
      co.yield "in close"
      log "does not go on"
    end })))
    log(co.close(thread))
    log(co.status(thread))
  end)

  program("close of the thread that a wrap function resumes", function(co, log)
    local thread
    local f = co.wrap(function()
      thread = co.running()
      co.yield "suspended"
    end)
    log(f())
    log(co.close(thread))
    log(pcall(call, f))
  end)

  program("close raises for the running thread and those that wait for it", function(co, log)
    local outer
    outer = co.create(function()
      log(pcall(function() return (co.close(outer)) end))
      co.wrap(function()
        log(pcall(function() return (co.close(outer)) end))
        log(pcall(co.close, outer))
      end)()
    end)
    log(co.resume(outer))
  end)

  plain_program("close raises for the main thread", function(co, log)
    log(pcall(function() return (co.close(coro.main)) end))
    co.wrap(function() log(pcall(function() return (co.close(coro.main)) end)) end)()
  end)

  program("close refuses what is no thread", function(co, log)
    for _, value in ipairs { 1, "text", true, {} } do
      log(pcall(function() return (co.close(value)) end))
      log(pcall(co.close, value))
    end
    log(pcall(function() return (co.close()) end))
  end)

  program("close in a __close method, of another thread", function(co, log)
    local inner = new_open(co, log)
    local outer = co.create(compile [[
      local yield, value = ...
      local x <close> = value
      yield "open"
    ]])
    co.resume(outer, co.yield, setmetatable({}, { __close = function() log(co.close(inner)) end }))
    log(co.close(outer))
    log(co.status(outer), co.status(inner))
  end)

  program("to-be-closed variables are closed in a thread that ends by itself", function(co, log)
    local thread = co.create(compile [[
      local yield, a, b = ...
      local x <close> = a
      yield(1)
      do
        local y <close> = b
        yield(2)
      end
      return yield(3)
    ]])
    log(co.resume(thread, co.yield, new_closing(log, "a"), new_closing(log, "b")))
    for i = 1, 4 do log(co.resume(thread, i)) end
  end)

  program("a yield in a __close method", function(co, log)
    local thread = co.create(compile [[
      local value = ...
      local function f()
        local x <close> = value
        return "result", nil
      end
      return f()
    ]])
    log(co.resume(thread, setmetatable({}, { __close = function() log(co.yield "closing") end })))
    log(co.resume(thread, "go on"))
    log(co.status(thread))
  end)
end

-- Random programs ------------------------------------------------------------------------------

-- Threads that create and resume each other, yield, finish and fail, as a sequence of numbers says.
local function run_random(co, log, seed)
  local function random(n)
    seed = seed * 16807 % 2147483647
    return seed % n + 1
  end
  local function some_values()
    local values = { n = random(5) - 1 }
    for i = 1, values.n do values[i] = random(3) > 1 and random(100) or nil end
    return unpack(values, 1, values.n)
  end

  local threads, names, steps_left = {}, {}, 400
  local body
  local function new_thread()
    local thread = co.create(body)
    threads[#threads + 1] = thread
    names[thread] = "t" .. #threads
  end

  local actions = {
    function() if #threads < 10 then new_thread() end end,
    function(me)
      local thread = threads[random(#threads)]
      -- With a value, as 5.2 and 5.3 take a thread with an empty stack for dead.
      log(me, "resumes", names[thread], two_if_failed(co.resume(thread, me, some_values())))
    end,
    function(me)
      if me ~= "main" then log(me, "goes on", co.yield(me, some_values())) end
    end,
    function(me)
      local shown = {}
      for i, thread in ipairs(threads) do shown[i] = co.status(thread) end
      log(me, "sees", unpack(shown))
    end,
    function(me)
      local f = co.wrap(function(...)
        log(me, "in wrap", co.yield(...))
        return some_values()
      end)
      log(me, "calls", f(some_values()))
      log(me, "calls again", f(some_values()))
      log(me, "calls it dead", (pcall(f)))
    end,
    function(me)
      if me ~= "main" and random(8) == 1 then error(me .. " fails", random(3) - 1) end
    end,
    function(me, act)
      if not yields_through_pcall or random(3) > 1 then return end
      log(me, "protected", pcall(function()
        for _ = 1, random(5) do act(me) end
        if random(2) == 1 then error({ me }) end
        return some_values()
      end))
    end,
    function(me, act)
      if not yields_through_pcall or random(3) > 1 then return end
      local object = setmetatable({}, { __index = function(_, k)
        act(me)
        return k
      end })
      for i in function(_, i) if i < 3 then return i + 1 end end, nil, 0 do
        log(me, "indexes", object[i])
      end
    end,
    function() collectgarbage "step" end,
  }
  -- Resuming and yielding are what matters.
  local order = { 1, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9 }
  local function act(me)
    if steps_left == 0 then return end
    steps_left = steps_left - 1
    actions[order[random(#order)]](me, act)
  end

  body = function(...)
    local me = "t" .. random(1000)
    log(me, "starts", ...)
    while steps_left > 0 and random(15) > 1 do act(me) end
    return some_values()
  end
  new_thread()
  while steps_left > 0 do act "main" end
end

for seed = 1, 25 do
  program("random program " .. seed, function(co, log) run_random(co, log, seed * 7919) end)
end

-- debug ----------------------------------------------------------------------------------------

-- Not where it was called from, which is the same line of this file but another function.
program("debug.traceback of a thread in each state", function(co, log)
  local function inner() co.yield() end
  local function middle()
    inner()
    return 1
  end
  local thread = co.create(function()
    middle()
    return 1
  end)
  log(debug.traceback(thread))
  co.resume(thread)
  log(debug.traceback(thread))
  log(debug.traceback(thread, "message"))
  log(debug.traceback(thread, nil, 1))
  co.resume(thread)
  log(debug.traceback(thread))
  local failed = co.create(function()
    local function failing() error "x" end
    failing()
    return 1
  end)
  co.resume(failed)
  log(debug.traceback(failed))
end)

program("debug.getinfo and getlocal of a suspended thread", function(co, log)
  local function inner(parameter)
    local a_local = parameter .. "!"
    co.yield(a_local)
    return a_local
  end
  local thread = co.create(function()
    local x = inner "value"
    return x
  end)
  co.resume(thread)
  local top = debug.getinfo(thread, 0, "Sf")
  log(top.what, top.func == co.yield)
  local info = debug.getinfo(thread, 1, "Slfu")
  log(info.what, info.currentline, info.linedefined, info.func == inner, info.nups)
  log(debug.getlocal(thread, 1, 1))
  log(debug.getlocal(thread, 1, 2))
  log(debug.setlocal(thread, 1, 2, "changed"))
  log(debug.getinfo(thread, 2, "l").currentline)
  log(debug.getinfo(thread, 3, "l"))
  log(co.resume(thread))
end)

plain_program("the stack of a thread ends where its function starts", function(co, log)
  local function depth()
    local n = 0
    while debug.getinfo(n + 1, "l") do n = n + 1 end
    return n
  end
  local function body()
    log(depth())
    co.yield()
    log(depth())
  end
  local thread = co.create(body)
  co.resume(thread)
  co.resume(thread)
end)

program("debug.traceback in a thread shows that thread only", function(co, log)
  local function caller()
    local text = debug.traceback("message", 1)
    return text
  end
  log(co.resume(co.create(function()
    local text = caller()
    return text
  end)))
  local thread = co.create(function()
    co.yield()
    local text = caller()
    return text
  end)
  co.resume(thread)
  log(co.resume(thread))
end)

if not jit then -- which has one hook for all threads
  program("a thread has the hook of the thread that created it", function(co, log)
    local count, set_hook, create, resume, yield = 0, debug.sethook, co.create, co.resume, co.yield
    local function hook() count = count + 1 end
    local function body()
      local x = 1
      yield(x)
      x = x + 1
      return x
    end
    local before = { debug.gethook() }
    set_hook(hook, "l")
    local thread = create(body)
    set_hook()
    log(debug.gethook(thread) == hook, select(2, debug.gethook(thread)))
    log(resume(thread))
    log(resume(thread))
    log(count)
    set_hook(unpack(before))
  end)

  program("a hook can be set in a suspended thread", function(co, log)
    local lines, resume = {}, co.resume
    local thread = co.create(function()
      local yield = co.yield
      yield(1)
      yield(2)
      return 3
    end)
    resume(thread)
    debug.sethook(thread, function(event, line)
      lines[#lines + 1] = event .. line - debug.getinfo(2, "S").linedefined
    end, "l")
    log(resume(thread))
    log(table.concat(lines, " "))
    debug.sethook(thread)
    log(resume(thread))
    log(table.concat(lines, " "))
  end)
end

if getfenv then -- luacheck: ignore
  program("a thread has the globals of the thread that created it", function(co, log)
    local getfenv, setfenv = getfenv, setfenv -- luacheck: ignore
    local thread = co.create(function()
      local globals = getfenv(0)
      co.yield(globals == getfenv(print))
      setfenv(0, { own = true })
      co.yield()
      return getfenv(0).own
    end)
    log(co.resume(thread))
    log(co.resume(thread))
    log(getfenv(0).own)
    log(co.resume(thread))
    log(getfenv(0).own)
  end)
end

-- Running them ---------------------------------------------------------------------------------

-- A value as text that is the same for both libraries.
local function show(value)
  local kind = type(value)
  if kind == "string" then
    return (("%q"):format(value):gsub("'coro%.", "'coroutine."):gsub("0x%x+", "0x"))
  end
  if kind == "nil" or kind == "boolean" or kind == "number" then return tostring(value) end
  return kind
end

local function logged(co, run)
  local lines = {}
  run(co, function(...)
    local shown = {}
    for i = 1, select("#", ...) do shown[i] = show((select(i, ...))) end
    lines[#lines + 1] = table.concat(shown, ", ")
  end)
  return lines
end

-- Logs are made by functions of one name, wherever they run.
local function in_thread(co, run)
  local lines
  local thread = co.create(function() lines = logged(co, run) end)
  local ok, err, traceback = co.resume(thread)
  if not ok then error(tostring(err) .. "\n" .. tostring(traceback), 0) end
  return lines
end

local contexts = {
  ["in a thread that main transferred to"] = function(run)
    local lines
    coro.transfer(coro.create(function()
      lines = logged(coro, run)
      coro.transfer(nil)
    end))
    return lines
  end,
  ["in a standard coroutine"] = function(run)
    return standard.wrap(function() return logged(coro, run) end)()
  end,
  ["in a standard coroutine in a thread"] = function(run)
    local lines
    local thread = coro.create(function()
      lines = standard.wrap(function() return logged(coro, run) end)()
    end)
    assert(coro.resume(thread))
    return lines
  end,
  ["under C functions in a thread"] = function(run)
    local lines
    local thread = coro.create(function()
      ("x"):gsub("x", function()
        table.sort({ 1, 2 }, function()
          lines = lines or logged(coro, run)
          return false
        end)
      end)
    end)
    local ok, err = coro.resume(thread)
    if not ok then error(err, 0) end
    return lines
  end,
}

describe("as in the standard library,", function()
  fixture.leaves_nothing(before_each, after_each)

  for _, case in ipairs(programs) do
    it(case.name, function()
      local expected = logged(standard, case.run)
      assert.is_true(#expected > 0)
      assert.are.same(expected, logged(coro, case.run))
    end)

    it(case.name .. ", in a resumed thread", function()
      local expected = in_thread(standard, case.run)
      assert.are.same(expected, in_thread(coro, case.run))
    end)

    for context, run_there in pairs(contexts) do
      if not case.only_plain then
        it(case.name .. ", " .. context, function()
          local expected = in_thread(standard, case.run)
          assert.are.same(expected, run_there(case.run))
        end)
      end
    end
  end
end)

describe("unlike in the standard library,", function()
  fixture.leaves_nothing(before_each, after_each)

  it("resume gives a traceback as third result after an error", function()
    local function body() error("text", 0) end
    assert.are.same({ n = 2, false, "text" }, pack(standard.resume(standard.create(body))))
    local thread = coro.create(body)
    local got = pack(coro.resume(thread))
    assert.are.same({ n = 3, false, "text", debug.traceback(thread) }, got)
  end)

  it("there are only two results where nothing was run", function()
    local dead = coro.create(function() end)
    coro.resume(dead)
    assert.are.same({ n = 2, false, "cannot resume dead coroutine" }, pack(coro.resume(dead)))
  end)

  it("yield raises in a thread that was transferred to", function()
    local thread = coro.create(function() coro.transfer(nil, pcall(coro.yield)) end)
    local ok, err = coro.transfer(thread)
    assert.is_false(ok)
    assert.matches("attempt to yield from a coroutine that was not resumed", err)
  end)

  it("isyieldable, close and C functions as bodies are there in every version", function()
    local thread = coro.create(coro.yield)
    assert.are.same({ n = 2, true, "out" }, pack(coro.resume(thread, "out")))
    assert.is_true(coro.isyieldable(thread))
    assert.is_false(coro.isyieldable())
    assert.are.same({ n = 1, true }, pack(coro.close(thread)))
    assert.are.equal("dead", coro.status(thread))
    assert.are.same({ n = 3, true, 7, nil }, pack(coro.resume(coro.create(coro.yield), 7, nil)))
  end)

  it("yield in main raises the standard's error", function()
    assert.are.same(pack(pcall(standard.yield, 1)), pack(pcall(coro.yield, 1)))
  end)

  it("yield leaves what the standard's cannot leave", function()
    local function body(co)
      return function()
        local t = { 2, 1 }
        table.sort(t, function(a, b) return co.yield(a, b) end)
        return unpack(t)
      end
    end
    local by_standard = pack(standard.resume(standard.create(body(standard))))
    assert.is_false(by_standard[1])
    assert.matches("^attempt to yield across ", by_standard[2])
    local thread = coro.create(body(coro))
    local got = pack(coro.resume(thread))
    while coro.status(thread) ~= "dead" do got = pack(coro.resume(thread, got[2] < got[3])) end
    assert.are.same({ n = 3, true, 1, 2 }, got)
  end)
end)
