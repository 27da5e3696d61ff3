-- A small scheduler for sockets: coroutines wait by transferring to main, which runs the `select`
-- loop and transfers back to whoever can go on.
-- A wait belongs to the very thread that waits, so it may stand anywhere: inside a generator, a
-- comparator, a pcall. The consumer of that generator just goes on waiting for its value.
-- Errors of a spawned coroutine end `run`, with the coroutine's traceback.
local coro = require "coro"
local socket = require "socket"

local scheduler = {}

local reading, writing = {}, {} -- socket -> the thread that waits for it
local deadlines = {} -- thread -> the time at which its wait is over, ready or not
local runnable = {} -- threads for the next round of the loop
local alive = 0 -- spawned and not finished

---@param waiting table<table, thread>|nil  `reading`, `writing` or nothing but the time
---@return boolean is_ready  false if the time was over first
local function wait(waiting, sock, timeout)
  local thread = coro.current() or error("main runs the loop: only coroutines can wait", 3)
  if waiting then
    if waiting[sock] then error("another coroutine waits for this socket already", 3) end
    waiting[sock] = thread
  end
  deadlines[thread] = timeout and socket.gettime() + timeout
  local is_ready = coro.transfer(nil)
  deadlines[thread] = nil
  if waiting and waiting[sock] == thread then waiting[sock] = nil end
  return is_ready
end

--- Waits until a read from a socket would not block, or the socket is closed by `forget`.
---@param sock table  a socket of LuaSocket
---@param timeout number|nil  in seconds; nil: for ever
---@return boolean is_ready  false after the timeout
function scheduler.wait_readable(sock, timeout) return wait(reading, sock, timeout) end

--- Waits until a write to a socket would not block, or the socket is closed by `forget`.
---@param sock table  a socket of LuaSocket
---@param timeout number|nil  in seconds; nil: for ever
---@return boolean is_ready  false after the timeout
function scheduler.wait_writable(sock, timeout) return wait(writing, sock, timeout) end

--- Lets the others run for a time.
---@param seconds number
function scheduler.sleep(seconds) wait(nil, nil, seconds) end

--- Lets whoever waits for a socket go on, since `select` never reports a closed one.
---@param sock table  a socket that is about to be closed
function scheduler.forget(sock)
  for _, waiting in ipairs { reading, writing } do
    local thread = waiting[sock]
    if thread then
      waiting[sock], deadlines[thread] = nil, nil
      runnable[#runnable + 1] = thread
    end
  end
end

--- Starts a function as a coroutine, in the next round of the loop.
---@param f fun()
---@return thread
function scheduler.spawn(f)
  local thread = coro.create(function()
    f()
    alive = alive - 1
    -- Nobody resumed this thread, so there is nobody to return to.
    coro.transfer(nil)
  end)
  alive = alive + 1
  runnable[#runnable + 1] = thread
  return thread
end

local function continue(thread, is_ready)
  local ok, err, traceback = coro.ptransfer(thread, is_ready)
  if not ok then error(("%s\nin a coroutine, %s"):format(tostring(err), traceback), 0) end
end

local function sockets_of(waiting)
  local sockets = {}
  for sock in pairs(waiting) do sockets[#sockets + 1] = sock end
  return sockets
end

-- Whoever runs earlier in a round may end the waits of others: each is looked up again.

local function continue_ready(waiting, sockets)
  for _, sock in ipairs(sockets) do
    if waiting[sock] then continue(waiting[sock], true) end
  end
end

local function continue_late()
  local now, late = socket.gettime(), {}
  for thread, deadline in pairs(deadlines) do
    if deadline <= now then late[#late + 1] = thread end
  end
  for _, thread in ipairs(late) do
    local deadline = deadlines[thread]
    if deadline and deadline <= now then continue(thread, false) end
  end
end

local function time_to_next_deadline()
  local next_deadline
  for _, deadline in pairs(deadlines) do
    if not next_deadline or deadline < next_deadline then next_deadline = deadline end
  end
  return next_deadline and math.max(0, next_deadline - socket.gettime())
end

--- Runs until every spawned coroutine has finished. Raises what any of them raises, and if all
--- that are left wait for nothing that could happen.
function scheduler.run()
  while alive > 0 do
    local batch = runnable
    runnable = {}
    for _, thread in ipairs(batch) do continue(thread, true) end

    local timeout = #runnable > 0 and 0 or time_to_next_deadline()
    if next(reading) or next(writing) or timeout then
      local readable, writable = socket.select(sockets_of(reading), sockets_of(writing), timeout)
      continue_ready(reading, readable)
      continue_ready(writing, writable)
      continue_late()
    elseif alive > 0 then
      error(("no socket and no time is waited for, but coroutines are left: %d"):format(alive), 0)
    end
  end
end

return scheduler
