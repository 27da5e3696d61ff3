-- The mode that the tests run in, as environment variables say; results are the same in each.
--
--   CORO_WARM_STACKS=0          every thread that can be unmounted is
--   CORO_COLLECTOR=whole        a whole cycle of the collector at nearly each allocation
--   CORO_COLLECTOR=creeping     the collector is always in the middle of a cycle
--   CORO_COLLECTOR=generational the other collector of 5.2 and 5.4, as eager as it gets
--
-- With any collector named, it is also forced before and after each switch.
-- Takes effect when this is required; `relax` and `stress` turn the collector's part off and on.
local coro = require "coro"
local mode = {}

local warm_stacks = tonumber(os.getenv "CORO_WARM_STACKS")
if warm_stacks then coro.configure { warm_stacks = warm_stacks } end

local collector = os.getenv "CORO_COLLECTOR"
local is_54 = _VERSION == "Lua 5.4"

-- How much memory may be in use, in percent of what was alive after a cycle, before the next one
-- begins; how much is done at a step; 5.4: how much is allocated between two steps.
local function set_incremental(pause, multiplier, step_54)
  if is_54 then
    collectgarbage("incremental", pause, multiplier, step_54)
  else
    if _VERSION == "Lua 5.2" then collectgarbage "incremental" end
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", multiplier)
  end
end

local usual = { 200, is_54 and 100 or 200, 13 }
local everything = (jit or _VERSION == "Lua 5.1") and 0 or is_54 and 1000 or 1e6
local eager = {
  whole = function() set_incremental(1, everything, 63) end,
  creeping = function() set_incremental(1, 200, 1) end,
  generational = function() collectgarbage("generational", 1, 1) end,
}

function mode.relax()
  if not collector then return end
  require "collecting".stop()
  set_incremental(usual[1], usual[2], usual[3])
end

local function switching_functions()
  local inner_yield
  local safe_wrapper = coro.safewrap(function(yield) inner_yield = yield end)
  safe_wrapper()
  return coro.wrap(print), safe_wrapper, inner_yield, coro.transfer, coro.ptransfer, coro.resume,
    coro.yield, coro.throw, coro.close
end

function mode.stress()
  if not collector then return end
  if jit then jit.off() end -- compiled code calls no hooks
  require "collecting".at(switching_functions())
  eager[collector]()
  collectgarbage() -- what was allocated before does not count any more
end

mode.stress()
return mode
