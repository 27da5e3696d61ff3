-- Threads that wait, and the loop that continues them.
--
-- To wait, by the functions in `core`, is to leave for main, where the loop is: `core` continues
-- those whose waits have ended by transferring to them. Nobody is ever resumed by it, so that a
-- generator that waits keeps its resumer. Errors of threads arrive in main, as everywhere in coro,
-- which is why the loop runs there and nowhere else. Main itself waits by running the loop.
local core, coro, loop = ...

local schedule = core.schedule
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

-- Errors in the use of the loop

-- Raises the text, and blames whoever called into the loop: what stands on the stack below it.
local function blame(text)
  local level = 2
  local caller = debug.getinfo(level, "S")
  while caller and (caller.what == "tail" or caller.what == "C"
    or caller.source:find "^=coro/loop/") do
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
  if type(f) ~= "function" then error("the thread was to be started by the loop", 0) end
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
  local _, err = core.sleep(seconds)
  if err == "timeout" then return true end
  return nil, err
end

local function field_of(object, name) return object[name] end

-- Of any object: its method of that name, or nil.
local function method_of(object, name)
  local has_fields, method = pcall(field_of, object, name)
  return has_fields and type(method) == "function" and method or nil
end

-- The file descriptor of what has a method `getfd`; nil if it is closed.
local function descriptor_of(object)
  local getfd = method_of(object, "getfd")
  if not getfd then refuse("wait", "descriptor or socket", object) end
  local fd = getfd(object)
  if type(fd) ~= "number" then refuse("wait", "number from getfd", fd) end
  if fd >= 0 then return fd end
end

--- Waits until a descriptor may be ready.
---@param object integer|table|userdata  a file descriptor, or what has a method `getfd`
---@param mode string  "r", "w" or "rw"
---@param timeout number|nil  in seconds
---@return true|nil, string|nil err  "timeout", "closed", "cancelled" or what the system says
function loop.wait(object, mode, timeout)
  if type(object) == "number" then return core.wait(object, mode, timeout) end
  local fd = descriptor_of(object)
  local dirty = (mode == "r" or mode == "rw") and method_of(object, "dirty")
  if fd and dirty and dirty(object) then return true, nil end
  return core.wait(fd, mode, timeout, object)
end

-- The wait of a thread that is in `suspend`. Others may have closed or continued it, and `core`
-- knows nothing of that.
local function wait_in_suspend(thread)
  local wait = suspended[thread]
  if not wait or core.is_in(thread, wait) then return wait end
  suspended[thread] = nil
  core.drop(wait)
end

-- Forgets those that are there no more, whenever so many have come as were left the last time.
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
  local thread = current() or main
  suspends = suspends + 1
  if suspends > most_suspends then sweep_suspended() end
  local wait = core.park()
  wait_in_suspend(thread) -- it is here: whatever is left of an earlier wait is over
  suspended[thread] = wait
  return core.leave(wait)
end

--- Continues a thread that waits in `suspend`, when its turn comes.
---@param thread thread
function loop.resume(thread, ...)
  local wait = wait_in_suspend(thread)
  if not wait then
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
  return core.cancel(thread)
end

--- Waits for the next signal with that name. From the first call on it is caught.
---@param name string  "INT", "TERM", "HUP", "USR1" ...
---@param timeout number|nil  in seconds
---@return true|nil, string|nil err
function loop.signal(name, timeout) return core.signal(name, timeout) end

--- Looks a name up.
---@param host string
---@param port integer|string|nil  a number or the name of a service
---@return { addr: string, family: string, port: integer }[]|nil, string|nil err
function loop.resolve(host, port) return core.resolve(host, port) end

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
  local failed = has_failed(last, traceback) and last
  if not failed then
    for thread in pairs(handlers) do
      if has_failed(thread, traceback) then failed = thread end
    end
  end
  local handler = failed and handlers[failed]
  if handler then
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

-- Raises an error where the thread waits.
local function throw_into(thread, err)
  local ok, first, second = pcall(throw, thread, err)
  if not ok and status(thread) == "dead" then second = traceback_of(thread) end
  return take_leave(thread, ok, first, second)
end

-- Whoever cannot be given the values, because there are too many, gets the error instead.
local function go_on_with(thread, values)
  local has_gone, ok, first, second = pcall(transfer_values, thread, values)
  if has_gone then return take_leave(thread, ok, first, second) end
  return throw_into(thread, ok)
end

-- What `core` leaves to be done with a thread, by its number for that.
local go_on = { go_on_with, throw_into, take_leave }

local function check_main(name)
  if current() then blame(name .. ": the loop runs in main, where errors of all threads arrive") end
  if core.main_waits() then blame(name .. ": main waits already, below this call") end
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

-- What main's wait gives.
function core.run_until_main()
  while true do
    local rest, thread, first, second, third = core.continue_until_main()
    if not rest then return report_deadlock() end
    if thread == main then
      if go_on[rest] == go_on_with then return unpack(first, 1, first.n) end
      return first, second
    end
    go_on[rest](thread, first, second, third)
  end
end

--- Continues threads until nothing is left that could happen, or until `stop`.
---
--- Raises the error of a thread that nobody handles, with its traceback if it is a string; and a
--- report if threads are left in `suspend`, since nobody can continue them. May be called again.
function loop.run()
  check_main "run"
  core.set_stopped(false)
  while true do
    local rest, thread, first, second, third = core.continue_until_stopped()
    if not rest then break end
    go_on[rest](thread, first, second, third)
  end
  if not core.is_stopped() then report_deadlock() end
end

--- Continues every thread that is ready now; if none is, waits for the first one.
---@param timeout number|nil  in seconds; without one for as long as it takes
---@return boolean  is there anything left to wait for?
function loop.step(timeout)
  check_main "step"
  local has_turn = core.begin_turn(timeout)
  while has_turn do
    local rest, thread, first, second, third = core.continue_for_a_turn()
    if not rest then break end
    go_on[rest](thread, first, second, third)
  end
  return core.has_work()
end

--- `run` returns as soon as the thread that calls this waits.
function loop.stop() core.set_stopped(true) end

-- Names that users of socketloop know.
loop.newthread, loop.start, loop.current = loop.spawn, loop.run, current
