-- As in the standard library: yield, from wherever it gets out there; threads that work together.
local fixture = require "fixture"
local compatibility = require "compatibility"
local pack, unpack = fixture.pack, fixture.unpack
local version = compatibility.version
local yields_through_pcall = compatibility.yields_through_pcall
local program = compatibility.program
local two_if_failed = compatibility.two_if_failed

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

compatibility.check(describe, it, before_each, after_each)
