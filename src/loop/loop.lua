-- Threads that wait, and the loop that continues them.
--
-- To wait is to start a wait (by the functions in `core`) and to transfer to main, where the loop
-- is: it asks `core.next` who goes on, and transfers there. Nobody is ever resumed by it, so that a
-- generator that waits keeps its resumer. Errors of threads arrive in main, as everywhere in coro,
-- which is why the loop runs there and nowhere else. Main itself waits by running the loop.
local core, coro, loop = ...

local next_ended, schedule = core.next, core.schedule
local transfer, ptransfer, resume = coro.transfer, coro.ptransfer, coro.resume
local create, close, current, status = coro.create, coro.close, coro.current, coro.status
local throw = coro.throw
local main = coro.main
local traceback_of = debug.traceback
local unpack = table.unpack or unpack -- luacheck: ignore

local finished = {} -- what a spawned thread passes to the loop when it is done
local handlers = setmetatable({}, { __mode = "k" }) -- of spawned threads, by thread
local suspended = {} -- waits in `suspend`, by thread
local suspends, most_suspends = 0, 1000 -- since it was swept
local timeouts = setmetatable({}, { __mode = "k" }) -- of threads that start later, by thread
local stopped = false

local main_wait -- while main waits

local wait_in_main

-- The first local variable, in these and in `suspend`, says to `core` what the thread waits for.
local function pause(wait, is_main)
  if is_main then return wait_in_main(wait) end
  local result, err = transfer(nil)
  return result, err
end

-- For what may well be ready already: where main cannot wait, that is to be tried at once.
local function pause_first(wait, is_main)
  if is_main then
    if not main_wait then return wait_in_main(wait) end
    core.drop(wait)
    return true
  end
  local result, err = transfer(nil)
  return result, err
end

core.pause, core.pause_first = pause, pause_first

-- Errors in the use of the loop

-- Raises the text, and blames whoever called into the loop: what stands on the stack below it.
local function blame(text)
  local level = 2
  local caller = debug.getinfo(level, "S")
  while caller and (caller.what == "tail" or caller.source:find "^=coro/loop/") do
    level = level + 1
    caller = debug.getinfo(level, "S")
  end
  error(text, level)
end

local function refuse(name, wanted, value)
  blame(("%s: %s expected, got %s"):format(name, wanted, type(value)))
end

core.blame, core.refuse = blame, refuse

-- Threads

local function body(f, ...)
  f(...)
  return transfer(nil, finished, current())
end

local function late_body(...)
  timeouts[current()] = nil
  return body(...)
end

--- A thread that will call f(...). It starts when the loop runs next.
---@return thread
function loop.spawn(f, ...)
  if type(f) ~= "function" then refuse("spawn", "function", f) end
  local thread = create(body)
  schedule(thread, { n = select("#", ...) + 1, f, ... })
  return thread
end

--- The same; an error in the thread is not raised by `run`, but given to the handler.
---@param handler fun(err: any, traceback: string, thread: thread)
---@return thread
function loop.spawn_with(handler, f, ...)
  if type(handler) ~= "function" then refuse("spawn_with", "handler", handler) end
  if type(f) ~= "function" then refuse("spawn_with", "function", f) end
  local thread = loop.spawn(f, ...)
  handlers[thread] = handler
  return thread
end

--- Calls f(...) in a thread of its own, so long after this call, unless the thread is cancelled
--- before.
---@param seconds number
---@return thread
function loop.timeout(seconds, f, ...)
  if not tonumber(seconds) then refuse("timeout", "number", seconds) end
  if type(f) ~= "function" then refuse("timeout", "function", f) end
  local thread = create(late_body)
  timeouts[thread] = schedule(thread, { n = select("#", ...) + 1, f, ... }, seconds)
  return thread
end

-- Waiting

---@param seconds number
---@return true|nil, string|nil err  nil and "cancelled" if it was
function loop.sleep(seconds)
  local _, err = pause(core.alarm(seconds))
  if err == "timeout" then return true end
  return nil, err
end

-- Leaves the others their turn. Main has none to leave while it waits.
---@return true|nil, string|nil err
function core.give_way()
  if main_wait and not current() then return true end
  return loop.sleep(0)
end

--- Waits until a descriptor may be ready.
---@param object integer|table|userdata  a file descriptor, or what has a method `getfd`
---@param mode string  "r", "w" or "rw"
---@param timeout number|nil  in seconds
---@return true|nil, string|nil err  "timeout", "closed", "cancelled" or what the system says
function loop.wait(object, mode, timeout)
  local fd = object
  if type(object) ~= "number" then
    local kind = type(object)
    if kind ~= "table" and kind ~= "userdata" or not object.getfd then
      refuse("wait", "descriptor or socket", object)
    end
    fd = object:getfd()
    if fd < 0 then fd = nil end -- it is closed
  end
  return pause(core.watch(fd, mode, timeout))
end

local function forget_suspended(thread, wait)
  suspended[thread] = nil
  core.drop(wait)
end

-- The thread goes on, whoever continued it: `resume` and `cancel` have forgotten its wait, others
-- know nothing of it.
local function end_suspend(thread, wait, ok, ...)
  if suspended[thread] then forget_suspended(thread, wait) end
  if not ok then error((...), 0) end
  return ...
end

-- The wait of a thread that is in `suspend`. One that was closed there could not say so.
local function wait_in_suspend(thread)
  local wait = suspended[thread]
  if wait and status(thread) == "dead" then return forget_suspended(thread, wait) end
  return wait
end

-- Forgets those that were closed there, whenever so many have come as were left the last time.
local function sweep_suspended()
  local left = 0
  for thread in pairs(suspended) do
    if wait_in_suspend(thread) then left = left + 1 end
  end
  suspends, most_suspends = 0, math.max(left, 1000)
end

--- Waits for `resume`.
---@return any ...  what that passes
function loop.suspend()
  local wait, is_main = core.park()
  if is_main then return wait_in_main(wait, true) end
  local thread = current()
  suspends = suspends + 1
  if suspends > most_suspends then sweep_suspended() end
  suspended[thread] = wait
  return end_suspend(thread, wait, ptransfer(nil))
end

--- Continues a thread that waits in `suspend`, when its turn comes.
---@param thread thread
function loop.resume(thread, ...)
  local wait = suspended[thread]
  if not wait or status(thread) == "dead" then
    blame "resume: the thread does not wait in suspend"
  end
  local values = { n = select("#", ...), ... } -- there may be no room for so many
  suspended[thread] = nil
  core.wake(wait, values)
end

--- Ends the wait of a thread early: what it waits in returns nil, "cancelled".
---@param thread thread
---@return boolean  was it waiting in the loop?
function loop.cancel(thread)
  local start = timeouts[thread]
  if start and status(thread) == "suspended" then -- otherwise it was closed
    core.drop(start)
    return close(thread)
  end
  if wait_in_suspend(thread) then suspended[thread] = nil end
  local waited = core.cancel(thread == main and main_wait or thread) -- no tail call, for errors
  return waited
end

--- Waits for the next signal with that name. From the first call on it is caught.
---@param name string  "INT", "TERM", "HUP", "USR1" ...
---@param timeout number|nil  in seconds
---@return true|nil, string|nil err
function loop.signal(name, timeout) return pause(core.signal(name, timeout)) end

--- Looks a name up.
---@param host string
---@param port integer|string|nil  a number or the name of a service
---@return { addr: string, family: string, port: integer }[]|nil, string|nil err
function loop.resolve(host, port)
  return pause(core.resolve(host, port and tostring(port) or ""))
end

loop.now = core.now

-- The loop

-- Is it the thread whose error came with that traceback? Others may be dead as well: closed, or
-- failed while somebody else had resumed them.
local function has_failed(thread, traceback)
  return status(thread) == "dead" and traceback_of(thread) == traceback
end

-- Where the error goes: to the handler of the thread that failed, or out of the loop. The thread
-- that was continued last is asked first; the error may be another one's, that it went on to.
local function report(last, err, traceback)
  local failed = handlers[last] and has_failed(last, traceback) and last
  if not failed then
    for thread in pairs(handlers) do
      if has_failed(thread, traceback) then failed = thread end
    end
  end
  if failed then
    local handler = handlers[failed]
    handlers[failed] = nil
    handler(err, traceback, failed)
  elseif type(err) == "string" then
    error(traceback and err .. "\n" .. traceback or err, 0)
  else
    error(err, 0)
  end
end

-- What a thread left by, if it did not just wait.
local function take_leave(thread, ok, first, second)
  if not ok then return report(thread, first, second) end
  if first == finished then
    handlers[second] = nil
    resume(second) -- returns from its last transfer, and so is dead
  end
end

local function transfer_values(thread, values)
  return ptransfer(thread, unpack(values, 1, values.n))
end

-- Whoever cannot be given the values, because there are too many, gets the error instead.
local function go_on_with(thread, values)
  local has_gone, ok, first, second = pcall(transfer_values, thread, values)
  if has_gone then return take_leave(thread, ok, first, second) end
  local refusal = ok
  ok, first, second = pcall(throw, thread, refusal)
  if not ok and status(thread) == "dead" then second = traceback_of(thread) end
  return take_leave(thread, ok, first, second)
end

-- Whoever just waits again, which is nearly always so, costs no further call.
local function go_on(thread, values, result, err)
  if values then return go_on_with(thread, values) end
  local ok, first, second = ptransfer(thread, result, err)
  if first ~= nil or not ok then return take_leave(thread, ok, first, second) end
end

local function check_main(name)
  if current() then blame(name .. ": the loop runs in main, where errors of all threads arrive") end
end

local function report_deadlock()
  local count, traces = 0, {}
  for thread in pairs(suspended) do
    if wait_in_suspend(thread) then
      count = count + 1
      traces[count] = tostring(thread) .. ", " .. traceback_of(thread)
    end
  end
  if count == 0 then return end
  table.sort(traces)
  local text = count == 1 and "1 thread waits" or count .. " threads wait"
  error(("deadlock: %s for what cannot happen\n%s"):format(text, table.concat(traces, "\n")), 0)
end

local function run_until_main()
  local thread, values, result, err = next_ended()
  while thread ~= main do
    if not thread then return report_deadlock() end
    go_on(thread, values, result, err)
    thread, values, result, err = next_ended()
  end
  if values then return unpack(values, 1, values.n) end
  return result, err
end

local function end_wait_in_main(wait, ok, ...)
  main_wait = nil
  if ok then return ... end
  suspended[main] = nil
  core.drop(wait)
  error((...), 0)
end

function wait_in_main(wait, is_suspended)
  if main_wait then
    core.drop(wait)
    blame "main waits already, below this call"
  end
  main_wait = wait
  if is_suspended then suspended[main] = wait end
  return end_wait_in_main(wait, pcall(run_until_main))
end

--- Continues threads until nothing is left that could happen, or until `stop`.
---
--- Raises the error of a thread that nobody handles, with its traceback if it is a string; and a
--- report if threads are left in `suspend`, since nobody can continue them. May be called again.
function loop.run()
  check_main "run"
  stopped = false
  repeat
    local thread, values, result, err = next_ended()
    if not thread then return report_deadlock() end
    go_on(thread, values, result, err)
  until stopped
end

--- Continues every thread that is ready now; if none is, waits for the first one.
---@param timeout number|nil  in seconds; without one for as long as it takes
---@return boolean  is there anything left to wait for?
function loop.step(timeout)
  check_main "step"
  for _ = 1, core.begin_turn(timeout) do
    local thread, values, result, err = next_ended(0)
    if not thread then break end
    go_on(thread, values, result, err)
  end
  return core.has_work()
end

--- `run` returns as soon as the thread that calls this waits.
function loop.stop() stopped = true end

-- Names that users of socketloop know.
loop.newthread, loop.start, loop.current = loop.spawn, loop.run, current
