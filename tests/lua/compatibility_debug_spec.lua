-- As in the standard library: what the debug library shows of threads, and hooks in them.
local coro = require "fixture".coro
local compatibility = require "compatibility"
local program, plain_program = compatibility.program, compatibility.plain_program

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

-- The events that a hook gets in a thread. After a standard yield LuaJIT reports the line again.
for name, mask in pairs { call = "c", ["return"] = "r", line = "l", all = "crl" } do
  program("a hook gets the events of a thread: " .. name, function(co, log)
    if jit then jit.off() end -- compiled code calls no hooks
    local yield, resume, current = co.yield, co.resume, coro.current
    local thread = co.create(function(a)
      local b = yield(a)
      local function inner(c)
        local d = yield(c)
        return d
      end
      b = inner(b) + 1
      for i = 1, 2 do b = b + yield(i) end
      return b
    end)
    local events = {}
    debug.sethook(thread, function(event, line)
      if current() ~= thread then return end
      local info = debug.getinfo(2, "Sn")
      local text = event .. " " .. (line and line - info.linedefined or info.what)
      if text ~= events[#events] or event ~= "line" then events[#events + 1] = text end
    end, mask)
    for i = 1, 5 do
      log(resume(thread, i))
      log(table.concat(events, ", "))
    end
    debug.sethook(thread)
    if jit then jit.on() end
  end)
end

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
    set_hook(hook, "l")
    local thread = create(body)
    set_hook()
    log(debug.gethook(thread) == hook, select(2, debug.gethook(thread)))
    log(resume(thread))
    log(resume(thread))
    log(count)
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

compatibility.check(describe, it, before_each, after_each)
