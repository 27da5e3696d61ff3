-- The functions that coro shares with the standard library do what those of the running version do:
-- a program is run with either library and must log the same values, error texts and statuses. What
-- is meant to differ is in differences_spec.lua.
--
--   program("what it shows", function(co, log) ... end)   co is the library, log(...) notes values
--   compatibility.check(describe, it, before_each, after_each)    runs them all
local assert = require "luassert"
local fixture = require "fixture"
local mode = require "mode"
local coro, standard, pack, unpack = fixture.coro, fixture.standard, fixture.pack, fixture.unpack

local compatibility = {}

local version = tonumber(_VERSION:match "%d%.%d")
compatibility.version = version
compatibility.is_51 = fixture.lua == "Lua 5.1"
-- The standard yield of 5.1 does not get out of pcall, metamethods and iterators.
compatibility.yields_through_pcall = not compatibility.is_51
-- 5.2 finds the names of functions that have none where they are called in the globals only, where
-- coro is not.
compatibility.names_module_functions = version ~= 5.2

function compatibility.compile(source)
  return assert((loadstring or load)(source, "=text")) -- luacheck: ignore
end

-- programs[i] = { name, run = function(co, log), only_plain = boolean }
local programs = {}
function compatibility.program(name, run) programs[#programs + 1] = { name = name, run = run } end

-- One that asks about the thread that it is called in: run in main and in a resumed thread, and
-- nowhere else.
function compatibility.plain_program(name, run)
  programs[#programs + 1] = { name = name, run = run, only_plain = true }
end

-- coro's resume gives a traceback, too.
function compatibility.two_if_failed(ok, ...)
  if ok then return ok, ... end
  return ok, (...)
end

-- Calls that are no tail calls, so that errors have a position to tell.
function compatibility.call(f, ...)
  local results = pack(f(...))
  return unpack(results, 1, results.n)
end

-- 5.1 wants a Lua function where the others want any.
function compatibility.log_refusal(log, ...)
  if compatibility.is_51 then log((...)) else log(...) end
end

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

function compatibility.check(describe, it, before_each, after_each)
  describe("as in the standard library,", function()
    fixture.leaves_nothing(before_each, after_each)
    before_each(mode.relax) -- the standard library is not what is tested

    for _, case in ipairs(programs) do
      it(case.name, function()
        local expected = logged(standard, case.run)
        assert.is_true(#expected > 0)
        mode.stress()
        assert.are.same(expected, logged(coro, case.run))
      end)

      it(case.name .. ", in a resumed thread", function()
        local expected = in_thread(standard, case.run)
        mode.stress()
        assert.are.same(expected, in_thread(coro, case.run))
      end)

      for context, run_there in pairs(contexts) do
        if not case.only_plain then
          it(case.name .. ", " .. context, function()
            local expected = in_thread(standard, case.run)
            mode.stress()
            assert.are.same(expected, run_there(case.run))
          end)
        end
      end
    end
  end)
end

return compatibility
