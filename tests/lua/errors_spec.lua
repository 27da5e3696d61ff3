-- How threads end: by finishing and by errors, who gets to know, and what he gets.
local fixture = require "fixture"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack
local standard = fixture.standard

local version = tonumber(_VERSION:match "%d%.%d")
local ended = "coroutine ended without transferring control"

local function compile(source)
  return assert((loadstring or load)(source, "=text")) -- luacheck: ignore
end

-- A bit of everything, to be run after something went wrong.
local function everything_works()
  local thread = coro.create(function(x)
    local ok, y = pcall(coro.yield, x + 1)
    local z = ok and coro.transfer(nil, y + 1)
    local sum = 0
    for i in coro.wrap(function() for i = 1, 3 do coro.yield(i) end end) do sum = sum + i end
    local sorted = { 3, 1, 2 }
    table.sort(sorted, function(a, b) return coro.yield(a, b) end)
    local failed, err = coro.resume(coro.create(function(e) error(e, 0) end), "e")
    return sum, z, failed, err, unpack(sorted)
  end)
  assert.are.same({ n = 2, true, 2 }, pack(coro.resume(thread, 1)))
  assert.are.same({ n = 2, true, 11 }, pack(coro.resume(thread, 10)))
  local got = pack(coro.resume(thread, "z"))
  while coro.status(thread) ~= "dead" do got = pack(coro.resume(thread, got[2] < got[3])) end
  assert.are.same({ n = 8, true, 6, "z", false, "e", 1, 2, 3 }, got)
end

local function leaves_nothing(before_each, after_each)
  fixture.leaves_nothing(before_each, after_each)
  after_each(everything_works)
end

-- A value of every type that errors can have.
local function error_values()
  return {
    table = {},
    ["function"] = function() end,
    ["C function"] = print,
    thread = coro.create(function() end),
    userdata = io.stdout,
    ["true"] = true,
    ["false"] = false,
    ["nil"] = nil,
    number = 1.5,
    integer = 42,
    string = "text",
    ["empty string"] = "",
    ["object with __tostring"] = setmetatable({}, { __tostring = function() return "shown" end }),
  }
end
local names_of_values = { "nil" }
for name in pairs(error_values()) do names_of_values[#names_of_values + 1] = name end
table.sort(names_of_values)

-- A thread that fails with the value, in a function that tracebacks name.
local function new_failing(value, resumed)
  local function the_failing_function()
    error(value, 0)
  end
  return coro.create(function()
    if resumed then coro.yield() end
    the_failing_function()
    return "not reached"
  end)
end

describe("a thread that finishes", function()
  leaves_nothing(before_each, after_each)

  for _, n in ipairs { 0, 1, 2, 12, 13, 14, 20, 21, 250, 5000 } do
    it("hands " .. n .. " results to its resumer", function()
      local values = {}
      for i = 1, n do values[i] = i % 3 ~= 0 and i or nil end
      local function f() return unpack(values, 1, n) end
      local thread = coro.create(f)
      local resumed = pack(coro.resume(thread))
      assert.are.equal(n + 1, resumed.n)
      assert.is_true(resumed[1])
      local wrapped = pack(coro.wrap(f)())
      assert.are.equal(n, wrapped.n)
      for i = 1, n do
        assert.are.equal(values[i], resumed[i + 1])
        assert.are.equal(values[i], wrapped[i])
      end
      assert.are.equal("dead", coro.status(thread))
    end)
  end

  it("hands them to a resumer that is no main thread, by whatever it was continued", function()
    local inner = coro.create(function()
      coro.transfer(nil)
      return "result", nil
    end)
    local got
    local outer = coro.create(function()
      got = pack(coro.resume(inner))
      coro.transfer(nil, "outer")
    end)
    coro.transfer(outer)
    assert.are.equal("outer", coro.transfer(inner))
    assert.are.same({ n = 3, true, "result" }, got)
  end)

  describe("without a resumer", function()
    it("raises in main's transfer", function()
      local thread = coro.create(function() return 1, 2 end)
      local got = pack(pcall(coro.transfer, thread))
      assert.are.same({ n = 2, false, ended }, got)
      assert.are.equal("dead", coro.status(thread))
    end)

    it("makes main's ptransfer return the error", function()
      local got = pack(coro.ptransfer(coro.create(function() end)))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.are.equal(ended, got[2])
      assert.are.equal("string", type(got[3]))
    end)

    it("makes main's resume return the error, and leaves the resumed thread suspended", function()
      local finishing = coro.create(function() end)
      local thread = coro.create(function()
        coro.transfer(nil, "still here", coro.transfer(finishing))
      end)
      local got = pack(coro.resume(thread))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.are.equal(ended, got[2])
      assert.are.equal("suspended", coro.status(thread))
      assert.are.equal("dead", coro.status(finishing))
      assert.are.same({ n = 2, "still here", 7 }, pack(coro.transfer(thread, 7)))
    end)

    it("raises in main's wrap function, and leaves the wrapped thread suspended", function()
      local finishing, wrapped = coro.create(function() end), nil
      local f = coro.wrap(function()
        wrapped = coro.current()
        coro.transfer(nil, "still here", coro.transfer(finishing))
      end)
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.are.equal(ended, err)
      assert.are.equal("suspended", coro.status(wrapped))
      assert.are.same({ n = 2, "still here", 7 }, pack(coro.transfer(wrapped, 7)))
    end)

    it("raises in main and not in the thread that transferred to it", function()
      local reached = false
      local other = coro.create(function()
        pcall(coro.transfer, coro.create(function() end))
        reached = true
        coro.transfer(nil, "other")
      end)
      assert.are.same({ n = 2, false, ended }, pack(pcall(coro.transfer, other)))
      assert.is_false(reached)
      assert.are.equal("suspended", coro.status(other))
      assert.are.equal("other", coro.transfer(other))
      assert.is_true(reached)
    end)

    it("raises where main is, under C functions and in a nested standard coroutine", function()
      local function finish() coro.transfer(coro.create(function() end)) end
      assert.are.same({ n = 2, false, ended }, pack(pcall(table.sort, { 1, 2 }, finish)))
      assert.are.same({ n = 2, false, ended }, pack(pcall(string.gsub, "x", "x", finish)))
      assert.are.same({ n = 2, false, ended },
                      pack(standard.resume(standard.create(function() finish() end))))
    end)
  end)
end)

describe("an error in a resumed thread", function()
  leaves_nothing(before_each, after_each)

  for _, name in ipairs(names_of_values) do
    it("is returned untouched by resume: " .. name, function()
      local value = error_values()[name]
      for _, resumed in ipairs { false, true } do
        local thread = new_failing(value, resumed)
        if resumed then coro.resume(thread) end
        local got = pack(coro.resume(thread))
        assert.are.equal(3, got.n)
        assert.is_false(got[1])
        assert.is_true(rawequal(value, got[2]))
        assert.are.equal("string", type(got[3]))
        assert.are.equal("dead", coro.status(thread))
      end
    end)

    it("is returned untouched by a resume inside a thread: " .. name, function()
      local value = error_values()[name]
      local got
      local outer = coro.create(function()
        got = pack(coro.resume(new_failing(value)))
        return "went on"
      end)
      assert.are.same({ n = 2, true, "went on" }, pack(coro.resume(outer)))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.is_true(rawequal(value, got[2]))
      assert.matches("the_failing_function", got[3])
    end)
  end

  it("comes with the traceback of the failed thread, as debug.traceback gives it", function()
    local function resuming_function(thread) return pack(coro.resume(thread)) end
    local thread = new_failing("text")
    local got = resuming_function(thread)
    assert.matches("^stack traceback:\n", got[3])
    assert.matches("the_failing_function", got[3])
    assert.not_matches("resuming_function", got[3])
    assert.are.equal(debug.traceback(thread), got[3])
  end)

  it("comes with a traceback that names every function from the failing one down", function()
    local function third() error "deep" end
    local function second() third() return 1 end
    local function first() second() return 1 end
    local _, _, traceback = coro.resume(coro.create(function() first() return 1 end))
    local at = {}
    for i, name in ipairs { "third", "second", "first" } do
      at[i] = assert(traceback:find("'" .. name .. "'", 1, true) or
                     traceback:find("upvalue '" .. name .. "'", 1, true), traceback)
    end
    assert.is_true(at[1] < at[2] and at[2] < at[3])
  end)

  it("comes with a traceback that is shortened where the stack is deep", function()
    local function recurse(n)
      if n == 0 then error "bottom" end
      recurse(n - 1)
      return 1
    end
    local thread = coro.create(function() recurse(100) end)
    local _, _, traceback = coro.resume(thread)
    assert.are.equal(debug.traceback(thread), traceback)
    assert.matches("\n\t%.%.%.", traceback)
    local _, lines = traceback:gsub("\n", "")
    assert.is_true(lines < 30)
  end)

  it("has the position that it has without coro", function()
    local function fail(kind)
      if kind == 1 then error "text" end
      if kind == 2 then error("text", 2) end
      if kind == 3 then return #nil end -- luacheck: ignore
      if kind == 4 then return {} + 1 end
      if kind == 5 then return ("x"):rep {} end
      if kind == 6 then return kind.a.b end
      if kind == 7 then error("text", 0) end
      if kind == 8 then compile "assert(false)" () end
      if kind == 9 then compile "assert(nil, 'asserted')" () end
    end
    for kind = 1, 9 do
      local function call()
        fail(kind)
        return 1
      end
      local _, expected = pcall(call)
      local _, got = coro.resume(coro.create(call))
      assert.are.equal(expected, got)
    end
  end)

  it("goes up a chain of resumers as far as it is passed on", function()
    local trace = {}
    local function level(n)
      return coro.create(function()
        if n == 0 then error({ "value" }) end
        local ok, err = coro.resume(level(n - 1))
        trace[#trace + 1] = tostring(ok) .. n
        if n < 3 then error(err, 0) end
        return err
      end)
    end
    local ok, err = coro.resume(level(4))
    assert.are.same({ "false1", "false2", "false3", "true4" }, trace)
    assert.is_true(ok)
    assert.are.same({ "value" }, err)
  end)

  it("leaves it dead: it cannot be resumed or transferred to", function()
    local thread = new_failing("text")
    coro.resume(thread)
    assert.are.same({ n = 2, false, "cannot resume dead coroutine" }, pack(coro.resume(thread)))
    local ok, err = pcall(coro.transfer, thread)
    assert.is_false(ok)
    assert.matches("cannot transfer to dead coroutine", err)
    assert.are.equal("dead", standard.status(thread))
  end)

  it("goes to the resumer although the thread was away in transfers meanwhile", function()
    local value = {}
    local thread = coro.create(function()
      coro.transfer(nil, "away")
      error(value)
    end)
    local got
    local resumer = coro.create(function()
      got = pack(coro.resume(thread))
      coro.transfer(nil, "resumer")
    end)
    assert.are.equal("away", coro.transfer(resumer))
    assert.are.equal("resumer", coro.transfer(thread))
    assert.is_false(got[1])
    assert.are.equal(value, got[2])
  end)
end)

describe("an error of a C function that is the body of a thread", function()
  leaves_nothing(before_each, after_each)

  it("is untouched: strings, too", function()
    for _, value in ipairs { "text", true, {} } do
      local got = pack(coro.resume(coro.create(error), value))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.are.equal(value, got[2])
    end
  end)
end)

describe("an error in a thread without a resumer", function()
  leaves_nothing(before_each, after_each)

  for _, name in ipairs(names_of_values) do
    it("is raised untouched in main's transfer: " .. name, function()
      local value = error_values()[name]
      local thread = new_failing(value)
      local got = pack(pcall(coro.transfer, thread))
      assert.are.equal(2, got.n)
      assert.is_false(got[1])
      assert.is_true(rawequal(value, got[2]))
      assert.are.equal("dead", coro.status(thread))
    end)

    it("is returned untouched by main's ptransfer: " .. name, function()
      local value = error_values()[name]
      local thread = new_failing(value)
      local got = pack(coro.ptransfer(thread))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.is_true(rawequal(value, got[2]))
      assert.matches("the_failing_function", got[3])
      assert.are.equal(debug.traceback(thread), got[3])
    end)

    it("is returned untouched by main's resume of another thread: " .. name, function()
      local value = error_values()[name]
      local failing = new_failing(value)
      local thread = coro.create(function()
        coro.transfer(nil, "still here", coro.transfer(failing))
      end)
      local got = pack(coro.resume(thread))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.is_true(rawequal(value, got[2]))
      assert.matches("the_failing_function", got[3])
      assert.are.equal(debug.traceback(failing), got[3])
      assert.are.equal("suspended", coro.status(thread))
      assert.are.same({ n = 2, "still here", 7 }, pack(coro.transfer(thread, 7)))
    end)

    it("is raised untouched in main's call of another wrap function: " .. name, function()
      local value = error_values()[name]
      local failing, wrapped = new_failing(value), nil
      local f = coro.wrap(function()
        wrapped = coro.current()
        coro.transfer(nil, "still here", coro.transfer(failing))
      end)
      local got = pack(pcall(f))
      assert.are.equal(2, got.n)
      assert.is_false(got[1])
      assert.is_true(rawequal(value, got[2]))
      assert.are.same({ n = 2, "still here", 7 }, pack(coro.transfer(wrapped, 7)))
    end)
  end

  it("is raised in main and not in the thread that transferred to it", function()
    local reached = false
    local other = coro.create(function()
      pcall(coro.transfer, new_failing("text"))
      reached = true
      coro.transfer(nil, "other")
    end)
    assert.are.same({ n = 2, false, "text" }, pack(pcall(coro.transfer, other)))
    assert.is_false(reached)
    assert.are.equal("other", coro.transfer(other))
    assert.is_true(reached)
  end)

  it("is raised where main is, under C functions and in a nested standard coroutine", function()
    local value = {}
    local function fail() coro.transfer(new_failing(value)) end
    for _, got in ipairs {
      pack(pcall(table.sort, { 1, 2 }, fail)),
      pack(pcall(string.gsub, "x", "x", fail)),
      pack(pcall(function() return setmetatable({}, { __index = fail }).x end)),
      pack(pcall(function() for _ in fail do break end end)), -- luacheck: ignore
      pack(standard.resume(standard.create(function() fail() end))),
      pack(pcall(standard.wrap(function() fail() end))),
    } do
      assert.are.equal(2, got.n)
      assert.is_false(got[1])
      assert.are.equal(value, got[2])
    end
  end)

  it("shows an xpcall in main the stack of main", function()
    local function function_of_main()
      coro.transfer(new_failing("text"))
      return 1
    end
    local function call()
      function_of_main()
      return 1
    end
    local _, traceback = xpcall(call, function(err) return err .. debug.traceback() end)
    assert.matches("^text", traceback)
    assert.matches("function_of_main", traceback)
    assert.not_matches("the_failing_function", traceback)
  end)

  it("can be raised in main again and again", function()
    for i = 1, 100 do
      assert.are.same({ n = 2, false, i }, pack(pcall(coro.transfer, new_failing(i))))
    end
  end)
end)

describe("ptransfer", function()
  leaves_nothing(before_each, after_each)

  it("returns true and the values that it is continued with", function()
    local thread = coro.create(function(...)
      coro.transfer(nil, select("#", ...), ...)
      coro.transfer(nil)
    end)
    assert.are.same({ n = 5, true, 3, 1, nil, nil }, pack(coro.ptransfer(thread, 1, nil, nil)))
    assert.are.same({ n = 1, true }, pack(coro.ptransfer(thread)))
  end)

  it("returns in a thread, too", function()
    local got = {}
    local thread = coro.create(function()
      got[1] = pack(coro.ptransfer(nil, "first"))
      got[2] = pack(coro.ptransfer(coro.main, "second"))
      coro.transfer(nil, "third")
    end)
    assert.are.equal("first", coro.transfer(thread))
    assert.are.equal("second", coro.transfer(thread, 1, nil))
    assert.are.equal("third", coro.transfer(thread))
    assert.are.same({ { n = 3, true, 1 }, { n = 1, true } }, got)
  end)

  it("returns an error that is thrown at the thread", function()
    local value, got = {}, nil
    local thread = coro.create(function()
      got = pack(coro.ptransfer(nil))
      coro.transfer(nil, "went on")
    end)
    coro.transfer(thread)
    assert.are.equal("went on", coro.throw(thread, value))
    assert.are.equal(3, got.n)
    assert.is_false(got[1])
    assert.are.equal(value, got[2])
    assert.are.equal("string", type(got[3]))
  end)

  it("raises what transfer raises at the caller, with nothing switched", function()
    local dead = coro.create(function() end)
    coro.resume(dead)
    local before = coro.stats().switches
    for _, case in ipairs {
      { 1, "thread or nil expected, got number" },
      { dead, "dead coroutine" },
      { coro.main, "to the current coroutine" },
    } do
      local ok, err = pcall(coro.ptransfer, case[1])
      assert.is_false(ok)
      assert.matches(case[2], err)
    end
    assert.are.equal(before, coro.stats().switches)
  end)
end)

describe("a failed thread", function()
  leaves_nothing(before_each, after_each)

  -- Uses C stacks and memory anew.
  local function do_something_else()
    for _ = 1, 3 do
      for x in coro.wrap(function() for i = 1, 10 do coro.yield(("x"):rep(i)) end end) do
        assert(x)
      end
      pcall(coro.transfer, coro.create(function() table.sort({ 3, 2, 1 }, error) end))
      collectgarbage()
    end
  end

  for way, fail in pairs {
    resume = function(thread) return (coro.resume(thread)) end,
    transfer = function(thread) return (pcall(coro.transfer, thread)) end,
    ptransfer = function(thread) return (coro.ptransfer(thread)) end,
    ["a transfer by another thread"] = function(thread)
      return (pcall(coro.transfer, coro.create(function() coro.transfer(thread) end)))
    end,
    ["a resume by another thread"] = function(thread)
      return select(2, coro.resume(coro.create(coro.resume), thread))
    end,
  } do
    it("shows by debug.traceback where it failed, after " .. way, function()
      local thread = new_failing("text")
      assert.is_false(fail(thread))
      local traceback = debug.traceback(thread)
      assert.matches("the_failing_function", traceback)
      do_something_else()
      assert.are.equal(traceback, debug.traceback(thread))
    end)
  end

  it("shows its local variables", function()
    local thread = coro.create(function()
      local a_local = "its value"
      error(a_local)
    end)
    coro.resume(thread)
    do_something_else()
    assert.are.same({ "a_local", "its value" }, { debug.getlocal(thread, 1, 1) })
  end)

  it("shows where it failed although it was under C functions", function()
    local function the_comparator() error "in sort" end
    local thread = coro.create(function()
      pcall(function() end)
      table.sort({ 2, 1 }, the_comparator)
    end)
    local ok, err = coro.resume(thread)
    assert.is_false(ok)
    assert.matches("in sort$", err)
    local traceback = debug.traceback(thread)
    assert.matches("the_comparator", traceback:gsub("in function <", "the_comparator"))
    assert.matches("sort", traceback)
  end)

  it("gives its C stack back", function()
    local before = coro.stats().stacks_in_use
    local failed = {}
    for i = 1, 20 do
      failed[i] = coro.create(function() table.sort({ 1, 2 }, error) end)
      assert.is_false((coro.resume(failed[i])))
    end
    assert.are.equal(before, coro.stats().stacks_in_use)
  end)
end)

describe("results and errors", function()
  fixture.leaves_nothing(before_each, after_each)

  it("are untouched by finalizers that run generators while tracebacks are built", function()
    local running = true
    local function make_garbage()
      local function finalizer()
        local generator = coro.wrap(function() coro.yield(1, 2, 3, 4, 5) end)
        generator()
        if running then make_garbage() end
      end
      fixture.with_finalizer(finalizer)
    end
    for _ = 1, 20 do make_garbage() end
    local function fail(i)
      local garbage = { i, {} }
      error("failure " .. #garbage + i - 2, 0)
    end
    for i = 1, 2000 do
      local message = "failure " .. i
      local resumed = fixture.pack(coro.resume(coro.create(fail), i))
      assert(resumed.n == 3 and resumed[2] == message and type(resumed[3]) == "string", message)
      local wrapped = fixture.pack(pcall(coro.wrap(fail), i))
      assert(wrapped.n == 2 and wrapped[2]:find(message, 1, true), message)
      local stray = fixture.pack(pcall(coro.transfer, coro.create(function() end)))
      assert(stray.n == 2 and stray[2] == "coroutine ended without transferring control", message)
      local returned = fixture.pack(coro.resume(coro.create(function() return message, {}, i end)))
      assert(returned.n == 4 and returned[2] == message and returned[4] == i, message)
    end
    running = false
    fixture.collect()
  end)
end)

describe("an error on its way out of a thread", function()
  leaves_nothing(before_each, after_each)

  local function fails_with(expected, f)
    local got = pack(coro.resume(coro.create(f)))
    assert.is_false(got[1])
    assert.are.equal(expected, got[2])
    assert.are.equal(3, got.n)
  end

  it("goes through table.sort, string.gsub, load, metamethods and iterators", function()
    local value = {}
    local function fail()
      coro.transfer(nil)
      error(value)
    end
    local object = setmetatable({}, { __index = fail, __add = fail, __call = fail, __lt = fail })
    for _, f in ipairs {
      function() table.sort({ 1, 2 }, fail) end,
      function() ("x"):gsub("x", fail) end,
      function() return object.field end,
      function() return object + 1 end,
      function() return object() end,
      function() return object < object end,
      function() for _ in fail do break end end, -- luacheck: ignore
      function() table.sort({ 1, 2 }, function() ("x"):gsub("x", function() fail() end) end) end,
    } do
      local thread = coro.create(f)
      coro.transfer(thread)
      local got = pack(coro.resume(thread))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.are.equal(value, got[2])
    end
  end)

  it("is caught by pcall and xpcall inside, after switches", function()
    local thread = coro.create(function(x)
      local got = {}
      for i = 1, 3 do
        local ok, err = pcall(function()
          x = coro.yield(x)
          error({ x }, 0)
        end)
        got[i] = not ok and err[1]
        ok, err = xpcall(function()
          x = coro.yield(x)
          error(x, 0)
        end, function(e) return coro.transfer(nil, e) end)
        got[i + 3] = not ok and err
      end
      return unpack(got)
    end)
    local sent, back = 0
    repeat
      sent = sent + 1
      back = pack(coro.resume(thread, sent))
    until coro.status(thread) == "dead"
    assert.are.same({ n = 7, true, 2, 5, 8, 4, 7, 10 }, back)
  end)

  it("goes through nested standard coroutines as their wrap and resume pass it", function()
    local value = {}
    fails_with(value, function()
      standard.wrap(function()
        standard.wrap(function()
          coro.yield() -- to the standard wrap
          error "not reached"
        end)()
        error(value)
      end)()
    end)
    local got
    local thread = coro.create(function()
      got = pack(standard.resume(standard.create(function()
        coro.transfer(nil, coro.current())
        error(value)
      end)))
      coro.transfer(nil, "over")
    end)
    assert.are.equal("over", coro.transfer(coro.transfer(thread)))
    assert.are.same({ n = 2, false, value }, got)
  end)

  it("is what it is in the standard library where a message handler fails", function()
    local function program(library)
      return library.resume(library.create(function()
        return xpcall(error, function() error "again" end)
      end))
    end
    local expected = pack(program(standard))
    local got = pack(program(coro))
    assert.are.same(expected, got)
    assert.is_false(got[2])
  end)

  it("is replaced where a message handler fails after a switch", function()
    local function handle(message)
      coro.transfer(nil, "handling")
      return message + {}
    end
    local function program() return xpcall(function() error("first", 0) end, handle) end
    local thread = coro.create(program)
    local handled, got = 0
    repeat
      got = pack(coro.resume(thread))
      if got[2] == "handling" then handled = handled + 1 end
    until coro.status(thread) == "dead" or handled > 1000
    assert.are.equal("dead", coro.status(thread))
    assert.is_true(handled >= 1)
    assert.are.equal(3, got.n)
    assert.is_true(got[1])
    assert.is_false(got[2])
  end)
end)

describe("a stack overflow in a thread", function()
  leaves_nothing(before_each, after_each)

  local function recurse(n) return 1 + recurse(n + 1) end

  it("is an error of the thread", function()
    local thread = coro.create(recurse)
    local got = pack(coro.resume(thread, 1))
    assert.are.equal(3, got.n)
    assert.is_false(got[1])
    assert.matches("stack overflow", got[2])
    assert.matches("^stack traceback:", got[3])
    assert.are.equal("dead", coro.status(thread))
  end)

  it("is raised in main where the thread has no resumer", function()
    local ok, err = pcall(coro.transfer, coro.create(recurse), 1)
    assert.is_false(ok)
    assert.matches("stack overflow", err)
  end)

  it("can be caught, and the thread goes on", function()
    local thread = coro.create(function()
      local ok, err = pcall(recurse, 1)
      coro.yield(ok, err)
      return "went on"
    end)
    local _, ok, err = coro.resume(thread)
    assert.is_false(ok)
    assert.matches("stack overflow", err)
    assert.are.same({ n = 2, true, "went on" }, pack(coro.resume(thread)))
  end)

  local ways_through_c = {
    ["string.gsub"] = function(again) ("x"):gsub("x", again) end,
    ["table.sort"] = function(again) table.sort({ 1, 2 }, again) end,
    ["a metamethod"] = function(again) return setmetatable({}, { __index = again }).x end,
    ["tostring"] = function(again) return tostring(setmetatable({}, { __tostring = again })) end,
    -- LuaJIT crashes, with or without coro.
    ["the standard wrap"] = not jit and function(again)
      standard.wrap(function() again() end)()
    end or nil,
  }
  for name, nest in pairs(ways_through_c) do
    it("in C, by " .. name .. ", is an error of the thread", function()
      local function again()
        nest(again)
        return "x"
      end
      local thread = coro.create(again)
      local ok, err = coro.resume(thread)
      assert.is_false(ok)
      assert.matches("overflow", tostring(err))
      assert.are.equal("dead", coro.status(thread))
    end)
  end
end)

describe("the error of a wrap function", function()
  leaves_nothing(before_each, after_each)

  -- Each program is run with the standard library and with coro, and gives what its calls raised.
  local programs = {}
  local function program(name, run) programs[#programs + 1] = { name = name, run = run } end

  -- Calls f from a function that is not a tail call, so that there is a position to add.
  local function call(f, ...)
    local results = pack(f(...))
    return unpack(results, 1, results.n)
  end

  for name, value in pairs { string = "text", number = 12, table = {}, boolean = false } do
    for level = 0, 2 do
      program("is a " .. name .. ", raised with level " .. level, function(library)
        local function fail() error(value, level) end
        return pcall(call, library.wrap(function()
          fail()
          return 1
        end))
      end)
      local title = "is a " .. name .. ", raised with level " .. level .. " after a yield"
      program(title, function(library)
        local f = library.wrap(function()
          library.yield(1)
          error(value, level)
        end)
        return f(), pcall(call, f)
      end)
    end
  end

  program("is a number where pcall called it", function(library)
    local _, err = pcall(library.wrap(function() error(12, 0) end))
    return type(err), tostring(err)
  end)

  program("is what its thread died by in a resume before", function(library)
    local thread
    local f = library.wrap(function()
      thread = library.running()
      library.yield()
      error("text", 0)
    end)
    f()
    local ok, err = library.resume(thread)
    local _, first = pcall(call, f)
    local _, second = pcall(call, f)
    return ok, err, first, second
  end)

  program("is nil", function(library) return pcall(call, library.wrap(function() error() end)) end)

  program("is a function", function(library)
    return pcall(call, library.wrap(function() error(print) end))
  end)

  program("is an object with __tostring", function(library)
    local object = setmetatable({}, { __tostring = function() return "shown" end })
    local ok, err = pcall(call, library.wrap(function() error(object) end))
    return ok, err == object, tostring(err)
  end)

  program("is a runtime error", function(library)
    local f = library.wrap(function(x) return x.field.field end)
    return pcall(call, f, {})
  end)

  program("is an error of a C function", function(library)
    return pcall(call, library.wrap(function() return ("x"):rep {} end))
  end)

  program("comes from a C function as the body", function(library)
    local body = function(...) return error(...) end
    return pcall(call, library.wrap(body), "text", 0)
  end)

  program("goes through two wrap functions", function(library)
    local inner = library.wrap(function() error "inner" end)
    local outer = library.wrap(function()
      inner()
      return 1
    end)
    return pcall(call, outer)
  end)

  program("goes through five wrap functions", function(library)
    local function nest(n)
      return library.wrap(function()
        if n == 0 then error("bottom", 0) end
        local x = nest(n - 1)()
        return x
      end)
    end
    return pcall(call, nest(5))
  end)

  program("goes through wrap and resume", function(library)
    local f = library.wrap(function() error "inner" end)
    local thread = library.create(function()
      f()
      return 1
    end)
    local ok, err = library.resume(thread)
    return ok, err, library.status(thread)
  end)

  program("is raised where pcall called it", function(library)
    return pcall(library.wrap(function() error "text" end))
  end)

  program("is raised where a tail call called it", function(library)
    local f = library.wrap(function() error "text" end)
    local function tail() return f() end
    return pcall(function()
      local x = tail()
      return x
    end)
  end)

  program("is raised where table.sort and string.gsub called it", function(library)
    local function fail() error "text" end
    local _, sorted = pcall(table.sort, { 1, 2 }, library.wrap(fail))
    local _, replaced = pcall(string.gsub, "x", "x", library.wrap(fail))
    return sorted, replaced
  end)

  program("is raised where a metamethod is called", function(library)
    local object = setmetatable({}, { __index = library.wrap(function() error "text" end) })
    return pcall(function()
      local x = object.field
      return x
    end)
  end)

  program("is raised in a generic for", function(library)
    local seen = {}
    local results = pack(pcall(function()
      for i in library.wrap(function()
        for i = 1, 2 do library.yield(i) end
        error "text"
      end) do
        seen[#seen + 1] = i
      end
    end))
    return #seen, unpack(results, 1, results.n)
  end)

  program("is caught in a chunk without debug information of its own", function(library)
    return pcall(compile "local f = ... \n\n local x = f() return x",
                 library.wrap(compile "\n error 'text'"))
  end)

  program("says that it is dead, after an end and after an error", function(library)
    local finished = library.wrap(function() return 1 end)
    local failed = library.wrap(function() error "text" end)
    finished()
    pcall(failed)
    local _, first = pcall(call, finished)
    local _, second = pcall(call, failed)
    local _, third = pcall(finished)
    local _, fourth = pcall(call, finished)
    return first, second, third, fourth
  end)

  -- 5.2 and 5.3 take a thread for dead that has nothing on its stack just then, hence the argument.
  program("says that it is running where it calls itself", function(library)
    local f
    f = library.wrap(function()
      local direct = pack(pcall(f, 1))
      local called = pack(pcall(call, f, 1))
      return direct[1], direct[2], called[1], called[2]
    end)
    return f()
  end)

  program("says that it is not suspended where an inner one calls it", function(library)
    local f
    f = library.wrap(function()
      return library.resume(library.create(function() return pcall(call, f, 1) end))
    end)
    return f()
  end)

  program("leaves the caller to go on, in a thread", function(library)
    return library.wrap(function()
      local ok, err = pcall(call, library.wrap(function() error "text" end))
      local x = library.yield(ok, err)
      return x
    end)()
  end)

  if version >= 5.4 then
    local new_closing = function(log, name, err)
      return setmetatable({}, { __close = function(_, e)
        log[#log + 1] = name .. ":" .. tostring(e)
        if err ~= nil then error(err, 0) end
      end })
    end

    program("comes after to-be-closed variables are closed", function(library)
      local log = {}
      local body = compile [[
        local new, log = ...
        local a <close> = new(log, "a")
        local b <close> = new(log, "b")
        error("text", 0)
      ]]
      local ok, err = pcall(call, library.wrap(body), new_closing, log)
      return ok, err, table.concat(log, " ")
    end)

    program("comes after to-be-closed variables are closed, after a yield", function(library)
      local log = {}
      local f = library.wrap(compile [[
        local new, log, yield = ...
        local a <close> = new(log, "a")
        yield(1)
        local b <close> = new(log, "b")
        error { "table" }
      ]])
      f(new_closing, log, library.yield)
      local ok, err = pcall(call, f)
      return ok, err, #log, log[1]:match "^b:table" ~= nil
    end)

    program("is the error of a __close method, where that fails", function(library)
      local log = {}
      local body = compile [[
        local new, log = ...
        local a <close> = new(log, "a")
        local b <close> = new(log, "b", "from close")
        error("text", 0)
      ]]
      local ok, err = pcall(call, library.wrap(body), new_closing, log)
      return ok, err, table.concat(log, " ")
    end)

    program("does not come where variables are closed without one", function(library)
      local log = {}
      local f = library.wrap(compile [[
        local new, log, yield = ...
        do
          local a <close> = new(log, "a")
          yield "open"
        end
        return "closed"
      ]])
      local first = f(new_closing, log, library.yield)
      return first, #log, f(), table.concat(log, " ")
    end)
  end

  local function run_in_main(library, run) return pack(run(library)) end

  local function run_in_thread(library, run)
    local results
    local thread = library.create(function() results = pack(run(library)) end)
    local ok, err = library.resume(thread)
    if not ok then error(err, 0) end
    return results
  end

  for _, case in ipairs(programs) do
    it(case.name .. ", as with the standard wrap", function()
      local expected = run_in_main(standard, case.run)
      assert.are.same(expected, run_in_main(coro, case.run))
    end)

    it(case.name .. ", as with the standard wrap, in a thread", function()
      local expected = run_in_thread(standard, case.run)
      assert.are.same(expected, run_in_thread(coro, case.run))
    end)
  end

  for _, name in ipairs(names_of_values) do
    local value = error_values()[name]
    if type(value) ~= "string" and type(value) ~= "number" then
      it("is the very value: " .. name, function()
        local got = pack(pcall(coro.wrap(function() error(value) end)))
        assert.are.equal(2, got.n)
        assert.is_false(got[1])
        assert.is_true(rawequal(value, got[2]))
      end)
    end
  end
end)
