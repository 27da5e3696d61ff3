-- Symmetric coroutines in plain Lua, by the scheme of "Coroutines in Lua" (de Moura, Rodriguez,
-- Ierusalimschy): a thread that transfers yields its target to a dispatcher in main, which resumes
-- it. resume and yield are transfers, too. What one uses where there is no native module.
local create, continue, suspend = coroutine.create, coroutine.resume, coroutine.yield
local error = error

local symmetric = { create = create }
local current -- thread, nil in main
local resumer = setmetatable({}, { __mode = "k" })
local MAIN = {} -- stands for main, which resumed somebody

local dispatch

local function receive(ok, target, ...)
  if not ok then error(target, 0) end
  if target == nil then
    current = nil
    return ...
  end
  return dispatch(target, ...)
end

function dispatch(target, ...)
  current = target
  return receive(continue(target, ...))
end

function symmetric.transfer(target, ...)
  if current then return suspend(target, ...) end
  return dispatch(target, ...)
end
local transfer = symmetric.transfer

function symmetric.resume(thread, ...)
  resumer[thread] = current or MAIN
  return true, transfer(thread, ...)
end

function symmetric.yield(...)
  local target = resumer[current]
  resumer[current] = nil
  if target == MAIN then target = nil end
  return suspend(target, ...)
end

function symmetric.wrap(f)
  local yield = symmetric.yield
  local thread = create(function(...) return yield(f(...)) end)
  return function(...)
    resumer[thread] = current or MAIN
    return transfer(thread, ...)
  end
end

return symmetric
