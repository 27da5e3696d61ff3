-- What the reference manuals of 5.1 to 5.4 say about coroutines, each promise as a test: of the
-- standard library first, then of coro in its place. A test is of the manuals from `since` on.
local fixture = require "fixture"
local mode = require "mode"
local coro, standard, pack, unpack = fixture.coro, fixture.standard, fixture.pack, fixture.unpack

local version = tonumber(_VERSION:match "%d%.%d")
-- LuaJIT is a 5.1 that yields from everywhere in Lua, as 5.2 does.
local yields_as_52 = jit or version >= 5.2

local function compile(source, ...)
  return assert((loadstring or load)(source, "=manual"))(...) -- luacheck: ignore
end

-- A failed resume's results without coro's third.
local function two(...) return pack((...), (select(2, ...))) end

local promises = {}
local function promise(text, test, holds)
  if holds ~= false then promises[#promises + 1] = { text = text, test = test } end
end

-- Basic concepts -------------------------------------------------------------------------------

promise("create only creates a coroutine and returns a handle to it, of type thread", function()
  local started = false
  local co = coroutine.create(function() started = true end)
  assert.are.equal("thread", type(co))
  assert.matches("^thread: ", tostring(co))
  assert.is_false(started)
  assert.are.equal("suspended", coroutine.status(co))
end)

promise("the first resume calls the main function with the extra arguments", function()
  local got
  local co = coroutine.create(function(...) got = pack(...) end)
  assert.is_true((coroutine.resume(co, 1, nil, "three", nil)))
  assert.are.same({ n = 4, 1, nil, "three", nil }, got)
end)

promise("a coroutine that terminates gives resume true and the main function's results", function()
  local co = coroutine.create(function() return 1, nil, "three", nil end)
  assert.are.same({ n = 5, true, 1, nil, "three", nil }, pack(coroutine.resume(co)))
  assert.are.equal("dead", coroutine.status(co))
end)

promise("a coroutine that fails gives resume false and the error object", function()
  for _, err in ipairs { "text", 12, {}, print, true } do
    local co = coroutine.create(function() error(err, 0) end)
    assert.are.same({ n = 2, false, err }, two(coroutine.resume(co)))
    assert.are.equal("dead", coroutine.status(co))
  end
end)

promise("its stack is not unwound, and can be inspected after the error", function()
  local co = coroutine.create(function()
    local known = "as it was"
    local function fails() error "failed" end
    fails()
    return known
  end)
  coroutine.resume(co)
  local seen
  for level = 0, 4 do
    local name, value
    if debug.getinfo(co, level, "l") then name, value = debug.getlocal(co, level, 1) end
    if name == "known" then seen = value end
  end
  assert.are.equal("as it was", seen)
  assert.matches("manual_spec.lua:%d+", debug.traceback(co))
end)

promise("yield makes resume return at once, with true and what was passed to yield", function()
  local co = coroutine.create(function()
    local function nested(n)
      if n == 0 then coroutine.yield(1, nil, "three", nil) else nested(n - 1) end
      return n
    end
    nested(10)
  end)
  assert.are.same({ n = 5, true, 1, nil, "three", nil }, pack(coroutine.resume(co)))
  assert.are.equal("suspended", coroutine.status(co))
end)

promise("the next resume continues there, and yield returns the extra arguments", function()
  local got
  local co = coroutine.create(function()
    got = pack(coroutine.yield())
    return "end"
  end)
  coroutine.resume(co)
  assert.are.same({ n = 2, true, "end" }, pack(coroutine.resume(co, 1, nil, "three", nil)))
  assert.are.same({ n = 4, 1, nil, "three", nil }, got)
end)

promise("the function that wrap returns resumes, with its arguments, and gives the results",
        function()
  local f = coroutine.wrap(function(...)
    local got = pack(coroutine.yield(select("#", ...), ...))
    return unpack(got, 1, got.n)
  end)
  assert.are.equal("function", type(f))
  assert.are.same({ n = 3, 2, "a", nil }, pack(f("a", nil)))
  assert.are.same({ n = 2, nil, "b" }, pack(f(nil, "b")))
end)

promise("wrap does not catch errors but propagates them to the caller", function()
  local err = {}
  local f = coroutine.wrap(function()
    coroutine.yield()
    error(err)
  end)
  f()
  assert.are.same({ n = 2, false, err }, pack(pcall(f)))
  local text = select(2, pcall(coroutine.wrap(function() error("text", 0) end)))
  assert.matches("text$", text)
end)

-- The example of "Coroutines"; in 5.1 the prints have other first words.
promise("the example prints what it says", function()
  local printed = {}
  compile([[
    local print = ...
    local function foo (a)
      print("foo", a)
      return coroutine.yield(2*a)
    end

    co = coroutine.create(function (a,b)
          print("co-body", a, b)
          local r = foo(a+1)
          print("co-body", r)
          local r, s = coroutine.yield(a+b, a-b)
          print("co-body", r, s)
          return b, "end"
    end)

    print("main", coroutine.resume(co, 1, 10))
    print("main", coroutine.resume(co, "r"))
    print("main", coroutine.resume(co, "x", "y"))
    print("main", coroutine.resume(co, "x", "y"))
    co = nil
  ]], function(...)
    local words = pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    printed[#printed + 1] = table.concat(words, "\t")
  end)
  assert.are.same({
    "co-body\t1\t10",
    "foo\t2",
    "main\ttrue\t4",
    "co-body\tr",
    "main\ttrue\t11\t-9",
    "co-body\tx\ty",
    "main\ttrue\t10\tend",
    "main\tfalse\tcannot resume dead coroutine",
  }, printed)
end)

promise("threads are equal only to themselves, and keys of tables", function()
  local function f() end
  local a, b = coroutine.create(f), coroutine.create(f)
  local named = { [a] = "a", [b] = "b" }
  assert.is_true(a ~= b)
  assert.are.equal("ab", named[a] .. named[b])
end)

-- resume, yield --------------------------------------------------------------------------------

promise("resume of a dead coroutine fails", function()
  local co = coroutine.create(function() end)
  coroutine.resume(co)
  local expected = { n = 2, false, "cannot resume dead coroutine" }
  assert.are.same(expected, two(coroutine.resume(co)))
  assert.are.same(expected, two(coroutine.resume(co, 1)))
end)

promise("resume of what is not suspended fails and leaves it as it is", function()
  local outer
  outer = coroutine.create(function()
    local own = coroutine.resume(outer, 1)
    local others = coroutine.wrap(function() return (coroutine.resume(outer, 1)) end)()
    return own, others, coroutine.status(outer)
  end)
  assert.are.same({ n = 4, true, false, false, "running" }, pack(coroutine.resume(outer)))
end)

promise("yield outside of a coroutine is an error", function()
  local ok, err = pcall(coroutine.yield)
  assert.is_false(ok)
  assert.matches("attempt to yield", err)
end)

promise("resume and wrap take only threads and functions", function()
  for _, value in ipairs { 1, "text", {}, true } do
    assert.has_error(function() coroutine.resume(value) end)
    assert.has_error(function() coroutine.status(value) end)
    assert.has_error(function() coroutine.create(value) end)
    assert.has_error(function() coroutine.wrap(value) end)
  end
end)

promise("yield works inside pcall, metamethods and iterators", function()
  local object = setmetatable({}, {
    __index = function(_, key) return coroutine.yield(key) end,
    __add = function(_, n)
      local sum = coroutine.yield "add" + n
      return sum
    end,
  })
  local co = coroutine.create(function()
    local ok, caught = pcall(function() error(coroutine.yield "in pcall", 0) end)
    local fine = pcall(coroutine.yield, "pcall's function")
    local handled = select(2, xpcall(function() error(coroutine.yield "in xpcall", 0) end,
                                     function(text) return text .. " handled" end))
    local sum = 0
    for i in function() return coroutine.yield "in an iterator" end do sum = sum + i end
    return ok, caught, fine, handled, object.field, object + 1, sum
  end)
  local asked = {}
  local answers = { "caught", "x", "error", 5, 6, false, "value", 10 }
  local got = pack(coroutine.resume(co))
  for _, answer in ipairs(answers) do
    asked[#asked + 1] = got[2]
    got = pack(coroutine.resume(co, answer or nil))
  end
  assert.are.same({ "in pcall", "pcall's function", "in xpcall", "in an iterator",
                    "in an iterator", "in an iterator", "field", "add" }, asked)
  assert.are.same({ n = 8, true, false, "caught", true, "error handled", "value", 11, 11 }, got)
end, yields_as_52)

-- running, status, isyieldable -----------------------------------------------------------------

promise("running gives the running coroutine, and nil in the main thread", function()
  assert.is_nil((coroutine.running()))
  local co
  co = coroutine.create(function() return coroutine.running() == co end)
  assert.are.same({ n = 2, true, true }, pack(coroutine.resume(co)))
end, version == 5.1 and not select(2, standard.running()))

promise("running gives the running coroutine, and whether it is the main one", function()
  local main, is_main = coroutine.running()
  assert.are.equal("thread", type(main))
  assert.is_true(is_main)
  local co
  co = coroutine.create(function()
    local running, inside_main = coroutine.running()
    return running == co, inside_main
  end)
  assert.are.same({ n = 3, true, true, false }, pack(coroutine.resume(co)))
end, version >= 5.2)

promise("status is suspended before the start and in yield, running, normal and dead", function()
  local outer, inner
  local seen = {}
  local function look()
    seen[#seen + 1] = coroutine.status(outer) .. " " .. coroutine.status(inner)
  end
  inner = coroutine.create(function()
    look()
    coroutine.yield()
    error "stops with an error"
  end)
  outer = coroutine.create(function()
    look()
    coroutine.resume(inner)
    look()
    coroutine.resume(inner)
    look()
  end)
  look()
  coroutine.resume(outer)
  look()
  assert.are.same({ "suspended suspended", "running suspended", "normal running",
                    "running suspended", "running dead", "dead dead" }, seen)
end)

promise("isyieldable is true in a coroutine and false in the main thread", function()
  assert.is_false(coroutine.isyieldable())
  assert.is_true(coroutine.wrap(function() return coroutine.isyieldable() end)())
end, version >= 5.3)

promise("isyieldable can be asked about another coroutine", function()
  local co = coroutine.create(function() coroutine.yield() end)
  assert.is_true(coroutine.isyieldable(co))
  coroutine.resume(co)
  assert.is_true(coroutine.isyieldable(co))
  local main = coroutine.running()
  assert.is_false(coroutine.wrap(function() return coroutine.isyieldable(main) end)())
end, version >= 5.4)

-- close and to-be-closed variables -------------------------------------------------------------

-- A coroutine that is suspended with to-be-closed variables, which log their names and errors.
local function open(log, ...)
  local co = coroutine.create(function(...)
    compile([[
      local log, first_error, second_error = ...
      local function closing(name, err)
        return setmetatable({}, { __close = function(_, e)
          log[#log + 1] = name .. " " .. tostring(e)
          if err then error(err, 0) end
        end })
      end
      local a <close> = closing("a", first_error)
      local b <close> = closing("b", second_error)
      coroutine.yield()
      error("failed", 0)
    ]], ...)
  end)
  coroutine.resume(co, log, ...)
  return co
end

promise("close closes all pending variables and makes the coroutine dead", function()
  local log = {}
  local co = open(log)
  assert.are.same({ n = 1, true }, pack(coroutine.close(co)))
  assert.are.same({ "b nil", "a nil" }, log)
  assert.are.equal("dead", coroutine.status(co))
  assert.are.same({ n = 1, true }, pack(coroutine.close(co)))
end, version >= 5.4)

promise("close gives false and the error of a closing method, or the coroutine's own", function()
  local log = {}
  assert.are.same({ n = 2, false, "of a" }, pack(coroutine.close(open(log, "of a", "of b"))))
  assert.are.same({ "b nil", "a of b" }, log)
  local co = open({})
  coroutine.resume(co)
  assert.are.same({ n = 2, false, "failed" }, pack(coroutine.close(co)))
end, version >= 5.4)

promise("close takes only coroutines that are dead or suspended", function()
  local outer
  outer = coroutine.create(function()
    local own = pcall(coroutine.close, outer)
    local others = coroutine.wrap(function() return (pcall(coroutine.close, outer)) end)()
    return own, others
  end)
  assert.are.same({ n = 3, true, false, false }, pack(coroutine.resume(outer)))
end, version >= 5.4)

promise("a failed coroutine's variables are not closed before it is", function()
  local log = {}
  local co = open(log)
  assert.are.same({ n = 2, false, "failed" }, two(coroutine.resume(co)))
  assert.are.same({}, log)
  assert.are.same({ n = 2, false, "failed" }, pack(coroutine.close(co)))
  assert.are.same({ "b failed", "a failed" }, log)
end, version >= 5.4)

promise("wrap closes a coroutine that fails, and gives the closing method's error", function()
  local log = {}
  local f = coroutine.wrap(function()
    compile([[
      local log = ...
      local a <close> = setmetatable({}, { __close = function(_, e)
        log[#log + 1] = e
        error({ "of a" }, 0)
      end })
      coroutine.yield()
      error({ "of the coroutine" }, 0)
    ]], log)
  end)
  f()
  assert.are.same({ n = 2, false, { "of a" } }, pack(pcall(f)))
  assert.are.same({ { "of the coroutine" } }, log)
end, version >= 5.4)

promise("closing methods may yield", function()
  local co = coroutine.create(function()
    compile [[
      local a <close> = setmetatable({}, { __close = function() coroutine.yield "closing" end })
    ]]
    return "end"
  end)
  assert.are.same({ n = 2, true, "closing" }, pack(coroutine.resume(co)))
  assert.are.same({ n = 2, true, "end" }, pack(coroutine.resume(co)))
end, version >= 5.4)

-- The rest of the language ---------------------------------------------------------------------

promise("a coroutine that nothing can reach is collected", function()
  local weak = setmetatable({}, { __mode = "v" })
  do
    local object = {}
    local co = coroutine.create(function()
      coroutine.yield()
      return object
    end)
    coroutine.resume(co)
    weak.co, weak.object = co, object
  end
  fixture.collect()
  assert.is_nil(weak.co)
  assert.is_nil(weak.object)
end)

promise("debug functions take a thread as first argument", function()
  local co = coroutine.create(function(parameter) -- luacheck: ignore
    local a_local = "a value"
    coroutine.yield(a_local)
    return a_local
  end)
  coroutine.resume(co, "an argument")
  assert.matches("manual_spec.lua:%d+", debug.traceback(co))
  assert.matches("^a message\n", debug.traceback(co, "a message"))
  assert.are.equal("Lua", debug.getinfo(co, 1, "S").what)
  assert.are.same({ n = 2, "parameter", "an argument" }, pack(debug.getlocal(co, 1, 1)))
  assert.are.equal("a_local", debug.setlocal(co, 1, 2, "another"))
  assert.are.same({ n = 2, true, "another" }, pack(coroutine.resume(co)))
end)

promise("a hook can be set in a coroutine", function()
  if jit then jit.off() end
  local lines = 0
  local co = coroutine.create(function()
    local x = 1
    coroutine.yield()
    x = x + 1
    return x
  end)
  coroutine.resume(co)
  debug.sethook(co, function() lines = lines + 1 end, "l")
  coroutine.resume(co)
  debug.sethook(co)
  debug.sethook()
  if jit then jit.on() end
  assert.is_true(lines >= 2)
end)

promise("a coroutine shares its global environment with the one that created it", function()
  local function environments() return _G, getfenv and getfenv(0) end -- luacheck: ignore
  local first, second = environments()
  local co = coroutine.create(environments)
  assert.are.same({ n = 3, true, first, second }, pack(coroutine.resume(co)))
end)

-- Both libraries -------------------------------------------------------------------------------

local places = {
  ["the standard library"] = function() mode.relax() end,
  ["coro in its place"] = function() coro.install() end,
}
for _, library in ipairs { "the standard library", "coro in its place" } do
  describe("the manual about " .. library .. ":", function()
    after_each(function() _G.coroutine, package.loaded.coroutine = standard, standard end)
    fixture.leaves_nothing(before_each, after_each)
    before_each(places[library])

    for _, case in ipairs(promises) do it(case.text, case.test) end
  end)
end
