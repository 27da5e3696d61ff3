-- What each operation of a program does to the model: operations[what](m, T, operation), where T is
-- the current thread.
--
-- Every operation has a `label`; those that call a function of the library may have a `call`: how
-- it is called, "pcall" for directly by pcall, "tail" for by a tail call.
local model = require "model"
local places = require "places"
local reachable = require "reachable"

local text, expand = model.text, model.expand
local operations = {}

local not_resumed = "attempt to yield from a coroutine that was not resumed"

-- ---- calls ----------------------------------------------------------------------------------

local function begin(_, T, operation)
  T.pending = {
    label = operation.label,
    caught = operation.call == "pcall",
    position = operation.call == "pcall" and "" or "@",
    refers = {},
  }
end

-- The operation's frame on the thread's Lua stack refers to these as long as it is there.
local function refer(T, ...)
  for i = 1, select("#", ...) do T.pending.refers[#T.pending.refers + 1] = (select(i, ...)) end
end

local function misuse(m, T, message) m:raise(T, text(message, T.pending.position)) end

-- A thread that the program has at hand.
local function at_hand(m, number)
  local X = m.threads[number]
  if not X or X.dropped or not X.known then m.undefined() end
  return X
end

local function function_at_hand(m, number)
  local X = m.threads[number]
  if not X or X.dropped or X.kind == "create" then m.undefined() end
  return X
end

-- The target of a transfer: a number, "main" for coro.main, "nil".
local function target(m, T, to)
  if to == "main" then return m.main end
  if to ~= "nil" then return at_hand(m, to) end
  return m:is_on_host(T) and T or m:top_of_host()
end

-- ---- creating -------------------------------------------------------------------------------

local function create(kind)
  return function(m, _, operation)
    local number = operation.thread
    local body = m.program.threads[number]
    if m.threads[number] or not body then m.undefined() end
    local X = {
      name = "t" .. number,
      number = number,
      kind = kind,
      standard = operation.maker == "standard",
      body = body,
      state = "fresh",
      known = kind ~= "wrap",
    }
    X.inner = X
    m.threads[number] = X
    m.order[#m.order + 1] = X
  end
end

operations.create, operations.wrap = create "create", create "wrap"
operations.safewrap = create "safewrap"

function operations.drop(m, _, operation)
  local X = m.threads[operation.thread]
  if not X or X.dropped then m.undefined() end
  X.dropped = true
  if X.known then m.dropped[#m.dropped + 1] = X end
end

-- ---- transfer, ptransfer, throw -------------------------------------------------------------

local function is_refused(m, T, X, verb)
  if X == T then
    misuse(m, T, "cannot " .. verb .. " to the current coroutine")
  elseif X.state == "dead" then
    misuse(m, T, "cannot " .. verb .. " to dead coroutine")
  elseif X.state == "active" then
    misuse(m, T, "cannot " .. verb .. " to a coroutine that runs another one by a standard resume")
  else
    return false
  end
  return true
end

local function transfer(how)
  return function(m, T, operation)
    local X = target(m, T, operation.to)
    begin(m, T, operation)
    if operation.to ~= "nil" then refer(T, X) end
    if is_refused(m, T, X, "transfer") then return end
    m:suspend(how)
    m:continue(X, expand(operation.values))
  end
end

operations.transfer, operations.ptransfer = transfer "transfer", transfer "ptransfer"

-- The error that an operation raises, as it is printed.
local function error_value(err, position)
  if err.kind == "text" then return text("e" .. err.number) end
  if err.kind == "positioned" then return text("e" .. err.number, position) end
  if err.kind == "number" then return tostring(err.number) end
  if err.kind == "object" then return "object" .. err.number end
  return err.kind
end

operations["throw"] = function(m, T, operation)
  local X = target(m, T, operation.to)
  -- docs/reference.md: LuaJIT raises it after a pcall of the ordinary yield itself.
  if m.version.is_jit and X.state == "yielded" and X.pending.caught then m.undefined() end
  begin(m, T, operation)
  if operation.to ~= "nil" then refer(T, X) end
  if is_refused(m, T, X, "throw") then return end
  m:suspend "transfer"
  m:continue_with_error(X, error_value(operation.error, ""))
end

operations["error"] = function(m, T, operation)
  m:raise(T, error_value(operation.error, "@"))
end

-- ---- resume, wrap ---------------------------------------------------------------------------

-- Why a thread cannot be resumed, or nil.
local function refusal(m, T, X, values)
  local version = m.version
  if X.state == "dead" then return "cannot resume dead coroutine" end
  if X == T then
    if m.standard and version.confuses_empty_with_dead and values.n == 0 then m.undefined() end
    return version.resume_running
  end
  if X.state == "active" or m.waits_for_another(X) or m:is_on_host(X) then
    local empty = m.standard and version.confuses_empty_with_dead and X.how == "wrap"
    if empty then m.undefined() end
    return version.resume_normal
  end
  local depth = m:depth()
  -- The standard library knows other limits.
  if m.standard and depth > 100 then m.undefined() end
  if not m.standard and m.program.max_depth and depth >= m.program.max_depth then
    return "C stack overflow (" .. m.program.max_depth
      .. " coroutines resumed inside one another, which is max_depth of coro.configure)"
  end
  return nil
end

function operations.resume(m, T, operation)
  local X = operation.to == "main" and m.main or at_hand(m, operation.to)
  local refused = refusal(m, T, X, operation.values)
  begin(m, T, operation)
  refer(T, X)
  if refused then
    m:deliver(T, { "false", text(refused) })
  else
    m:resume(X, "resume", expand(operation.values))
  end
end

-- The thread runs in a nest, on top of the current one.
local function run_above(T, X, how, m, values)
  T.pending.how = how
  X.below, T.above = T, X
  m:continue(X, values)
end

local function standard_refusal(m, T, X)
  local version = m.version
  if m.standard or X.state == "suspended" then m.undefined() end
  if X.state == "dead" then return "cannot resume dead coroutine" end
  if X.state ~= "active" then return nil end
  if version.confuses_empty_with_dead then m.undefined() end
  return X == T and version.resume_running or version.resume_normal
end

function operations.standard_resume(m, T, operation)
  local X = at_hand(m, operation.to)
  local refused = standard_refusal(m, T, X)
  begin(m, T, operation)
  refer(T, X)
  if refused then
    m:deliver(T, { "false", text(refused) })
  else
    run_above(T, X, "resume", m, expand(operation.values))
  end
end

-- The function that wrap or safewrap made.
function operations.call(m, T, operation)
  local X = function_at_hand(m, operation.thread)
  local values, inner = operation.values, X.inner
  if X.kind == "wrap" and X.failed and m.version.has_close then
    -- It died by an error that this function has not raised yet.
    begin(m, T, operation)
    refer(T, X)
    return m:raise(T, m:raised_by_wrap(X, T.pending))
  elseif X.kind == "wrap" and X.standard then
    local refused = standard_refusal(m, T, X)
    begin(m, T, operation)
    refer(T, X)
    if refused then return misuse(m, T, refused) end
    return run_above(T, X, "wrap", m, expand(values))
  elseif inner == X then
    local refused = refusal(m, T, X, values)
    begin(m, T, operation)
    refer(T, X)
    if refused then return misuse(m, T, refused) end
    return m:resume(X, "wrap", expand(values))
  end
  -- After a yield of safewrap's own it is whoever yielded that goes on.
  begin(m, T, operation)
  refer(T, X, inner)
  if m.base(T) == X then
    return misuse(m, T, X == T and m.version.resume_running or m.version.resume_normal)
  elseif X.state == "dead" or inner.state == "dead" then
    return misuse(m, T, "cannot resume dead coroutine")
  elseif inner == T then
    return misuse(m, T, m.version.resume_running)
  elseif inner.state == "active" then
    return misuse(m, T, m.version.resume_normal)
  end
  X.inner = X
  m:suspend "wrap"
  if not X.below and X.state ~= "yielded" then X.link = { thread = T, wait = T.wait } end
  m:continue(inner, expand(values))
end

-- ---- yield ----------------------------------------------------------------------------------

-- Values go from a thread to one that waits for it in `resume` or `wrap`.
local function standard_yield(m, T, operation)
  local version = m.version
  local position = version.yield_error_has_position and T.pending.position or ""
  if T == m.main then return m:raise(T, text(version.yield_outside, position)) end
  if not m:may_leave(T) then return m:raise(T, text(version.yield_across, position)) end
  local values, below, resumer = expand(operation.values), T.below, m.resumer(T)
  if below then
    T.state, T.below, below.above = "yielded", nil, nil
    m.current = below
    if below.pending.how == "resume" then
      table.insert(values, 1, "true")
      values.n = values.n + 1
    end
    m:deliver(below, values)
  elseif resumer then
    T.state, T.link = "yielded", nil
    m:continue(resumer, values)
  else
    m:raise(T, text(not_resumed))
  end
end

function operations.standard_yield(m, T, operation)
  if m.standard then m.undefined() end
  begin(m, T, operation)
  standard_yield(m, T, operation)
end

function operations.yield(m, T, operation)
  begin(m, T, operation)
  if T.below or T == m.main then return standard_yield(m, T, operation) end
  local version, resumer = m.version, m.resumer(T)
  if m.standard and not m:may_leave(T) then
    local position = version.yield_error_has_position and T.pending.position or ""
    m:raise(T, text(version.yield_across, position))
  elseif resumer then
    m:suspend "yield"
    T.link = nil
    m:continue(resumer, expand(operation.values))
  else
    m:raise(T, text(not_resumed))
  end
end

-- The yield that a safewrap function got, called from wherever.
function operations.own_yield(m, T, operation)
  local X = function_at_hand(m, operation.of)
  if X.kind ~= "safewrap" or not X.started then m.undefined() end
  begin(m, T, operation)
  local is_running = not X.below and X.state ~= "dead"
  local resumer = is_running and m.resumer(X) or nil
  refer(T, X, resumer)
  if not resumer then return misuse(m, T, not_resumed) end
  X.inner = T
  m:suspend "yield"
  if m.base(T) == X then X.link = nil end
  m:continue(resumer, expand(operation.values))
end

-- ---- close ----------------------------------------------------------------------------------

-- From within: the error is raised again whenever something caught it.
local function unwind_closed(m, X)
  local err = text "coroutine closed"
  local frames = X.frames
  repeat
    local caught = m:call_handler(X, err)
    local frame
    repeat
      frame = table.remove(frames)
      if frame and frame.closes then m:line(frame.label .. " closes", { err }) end
    until not frame or frame.catches
  until not caught
end

function operations.close(m, T, operation)
  local version = m.version
  if m.standard and not version.has_close then m.undefined() end
  local X = operation.to == "main" and m.main or at_hand(m, operation.to)
  -- LuaJIT's standard resume takes the error out of the thread.
  if version.is_jit and X.failed and X.failed_under_standard then m.undefined() end
  begin(m, T, operation)
  refer(T, X)
  if X == T then
    return misuse(m, T, "cannot close a running coroutine")
  elseif X.state == "dead" then
    local failed = X.failed
    m:close_variables(X, failed or "nil")
    X.failed, X.refers = nil, not version.has_close and X.refers or nil
    return m:deliver(T, failed and { "false", failed } or { "true" })
  elseif X.state == "active" or m.waits_for_another(X) or m:is_on_host(X) then
    return misuse(m, T, "cannot close a normal coroutine")
  elseif X.below then
    return misuse(m, T, "cannot close a coroutine that is suspended inside a standard resume")
  end
  if X.state ~= "fresh" then
    if not version.has_close or not m:may_leave(X) then
      unwind_closed(m, X)
    else
      m:close_variables(X, "nil")
    end
  end
  X.state, X.how, X.wait, X.frames, X.pending = "dead", nil, nil, {}, nil
  m:deliver(T, { "true" })
end

-- ---- frames ---------------------------------------------------------------------------------

local function enter(T, frame)
  frame.pc = 1
  T.frames[#T.frames + 1] = frame
end

function operations.inside(m, T, operation)
  enter(T, { list = operation.body, pins = places.pins(operation.place, m.version) })
end

local function catching(how)
  return function(m, T, operation)
    local pins = how == "load" or not m.version.pcall_yields
    enter(T, { list = operation.body, catches = how, label = operation.label, pins = pins })
  end
end

operations.pcall, operations.xpcall = catching "pcall", catching "xpcall"
operations.load = catching "load"

operations["repeat"] = function(_, T, operation)
  enter(T, { list = operation.body, times = operation.times })
end

-- A to-be-closed variable around the body.
function operations.closing(m, T, operation)
  enter(T, { list = operation.body, label = operation.label, closes = m.version.has_close })
end

-- The end of a thread's function; elsewhere it is not defined.
function operations.finish(m, T, operation)
  if #T.frames ~= 1 or T == m.main then m.undefined() end
  m:finish(T, expand(operation.values))
end

-- ---- asking ---------------------------------------------------------------------------------

function operations.ask(m, T, operation)
  local version = m.version
  local values = {}
  local function add(value) values[#values + 1] = tostring(value) end
  if not m.standard then add(T == m.main and text "main" or T.name) end
  if not m.standard and not (T.below or T == m.main) then
    add(m.resumer(T) ~= nil)
  elseif not m.standard or version.standard_isyieldable then
    add(m:may_leave(T))
  end
  for _, number in ipairs(operation.threads) do
    local X = number == "main" and m.main or m.threads[number]
    if not X or X.dropped or not X.known then
      add(text "unknown")
    else
      local status = m:status(X)
      add(text(status))
      if status == "suspended" and (not m.standard or version.standard_isyieldable_of) then
        add(X ~= m.main)
      end
    end
  end
  m:line(operation.label, values)
end

local standard_everywhere = { create = true, wrap = true, resume = true, status = true }

-- A function is called with an argument of the wrong type.
function operations.misuse(m, _, operation)
  if m.standard and not standard_everywhere[operation.f] then m.undefined() end
  local version, expected = m.version, operation.expects .. " expected"
  if operation.expects == "function" and m.standard and version.name == "5.1" then
    expected = "Lua function expected"
  elseif operation.expects ~= "thread" then
    expected = expected .. ", got " .. operation.got
  else
    expected = version.thread_expected
    if version.thread_expected_tells_what_it_got then
      expected = expected .. ", got " .. operation.got
    end
  end
  m:line(operation.label, { "false", text("bad argument #1 to '?' (" .. expected .. ")") })
end

function operations.configure(m)
  if m.standard then m.undefined() end
end

function operations.collect(m, _, operation)
  if operation.how ~= "full" then return m:line(operation.label, {}) end
  if not m.version.collects_exactly then return m:line(operation.label, {}) end
  local left = reachable.after_collection(m)
  local values = { text(table.concat(left.gone, " ")), "nil", "nil" }
  if not m.standard then values[2], values[3] = tostring(left.threads), tostring(left.pinned) end
  m:line(operation.label, values)
  m.maybe[#m.lines] = left.maybe
end

return operations
