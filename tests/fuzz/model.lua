-- The reference model: which thread runs next, and with which values, statuses and errors.
-- Plain data and no coroutines; it follows docs/reference.md and knows nothing of C stacks.
--
--   local m = model.new(program, version, standard)
--   m:run(more)        m.lines is then what the program prints; m.omitted has the operations that
--                      must be left out of it, since what they would do is not defined
--
-- `standard`: the program is run on the standard library instead of coro. `more(m, thread, frame)`
-- may append an operation to a list that is at its end: that is how programs are generated.
--
-- Values are the texts that they are printed as. A thread is a stack of frames, each a list of
-- operations and how far it is. Threads that run one another by a standard resume are a nest,
-- linked by `above` and `below`; the lowest, the base, has the link to the resumer. The nest that
-- main is the base of is the host.
--
--   fresh       not started
--   active      runs, or runs another one by a standard resume
--   suspended   by coro, in `how`; the number of its wait is `wait`
--   yielded     by the ordinary yield, in no nest
--   dead        by `failed`, if that was not told by `close` yet
local model = {}
model.__index = model

local returns_status = { ptransfer = true, resume = true }

function model.new(program, version, standard)
  local m = setmetatable({}, model)
  m.program, m.version, m.standard = program, version, standard or false
  m.lines, m.omitted, m.performed = {}, {}, {}
  m.threads, m.order, m.dropped = {}, {}, {} -- by number; in the order they were made, or dropped
  m.maybe = {} -- by line: the names of threads that may or may not be gone
  m.waits = 0
  m.main = { name = "main", state = "active", known = true }
  m.main.frames = { { list = program.main, pc = 1, catches = "main" } }
  m.current = m.main
  return m
end

local undefined = {}

-- What the operation at hand does is not defined by anything, or not the same everywhere. To be
-- called before anything is changed.
function model.undefined() error(undefined, 0) end

-- ---- values ---------------------------------------------------------------------------------

-- The values of an operation are { n = 2, "1", "nil" }, or { n = 300, from = 7 } for many.
function model.value(values, i)
  if not values.from then return values[i] end
  return i % 3 == 0 and "nil" or tostring(values.from + i)
end

function model.expand(values)
  local expanded = { n = values.n }
  for i = 1, values.n do expanded[i] = model.value(values, i) end
  return expanded
end

local function prepend(first, values)
  table.insert(values, 1, first)
  values.n = (values.n or #values - 1) + 1
  return values
end

-- A string, after a position if there is one.
function model.text(text, position) return '"' .. (position or "") .. text .. '"' end

function model:line(label, values)
  self.lines[#self.lines + 1] = label .. ": " .. table.concat(values, " ", 1, values.n or #values)
end

-- ---- threads --------------------------------------------------------------------------------

function model.base(T)
  while T.below do T = T.below end
  return T
end

-- Who runs on the host's own C stack, or is suspended there.
function model:top_of_host()
  local T = self.main
  while T.above do T = T.above end
  return T
end

function model:is_on_host(T) return self.base(T) == self.main end

-- The resumer, if it still waits.
function model.resumer(T)
  local link = T.link
  return link and link.thread.wait == link.wait and link.thread or nil
end

function model.waits_for_another(T) return T.how == "resume" or T.how == "wrap" end

function model:status(T)
  if T == self.current then return "running" end
  if T.state == "dead" then return "dead" end
  if T.state == "active" or self.waits_for_another(T) then return "normal" end
  return "suspended"
end

-- Is there nothing between here and the thread's base that the ordinary yield cannot cross?
function model:may_leave(T)
  if T == self.main then return false end
  for _, frame in ipairs(T.frames) do
    if frame.pins then return false end
  end
  return self.version.pcall_yields or not (T.pending and T.pending.caught)
end

-- How many threads wait for each other in `resume`, up to the current one.
function model:depth()
  local depth, resumer = 0, self.resumer(self.base(self.current))
  while resumer do
    depth, resumer = depth + 1, self.resumer(self.base(resumer))
  end
  return depth
end

-- ---- going on -------------------------------------------------------------------------------

-- The current operation of the thread gives these values.
function model:deliver(T, values)
  local pending = T.pending
  T.pending = nil
  if pending.caught then prepend("true", values) end
  self:line(pending.label, values)
end

local function wake(m, T)
  local state, how = T.state, T.how
  T.state, T.how, T.wait = "active", nil, nil
  m.current = T
  return state, how
end

-- The thread waits no more, whatever it waited in, and goes on with the values.
function model:continue(T, values)
  local state, how = wake(self, T)
  if state == "fresh" then
    T.known, T.started = true, true
    T.frames = { { list = T.body, pc = 1 } }
    self:line(T.name .. " starts", values)
  else
    if returns_status[how] then prepend("true", values) end
    self:deliver(T, values)
  end
end

-- The same with an error, which is returned where it waits with a status, and raised elsewhere.
function model:continue_with_error(T, err)
  local state, how = wake(self, T)
  if state == "fresh" then
    self:die(T, err)
  elseif returns_status[how] then
    self:deliver(T, { "false", err, not self.standard and "traceback" or nil })
  else
    self:raise(T, err)
  end
end

-- The current thread will wait in `how` for somebody to continue it.
function model:suspend(how)
  self.waits = self.waits + 1
  local T = self.current
  T.state, T.how, T.wait = "suspended", how, self.waits
end

-- The current thread becomes the resumer of another one, which goes on with the values.
function model:resume(T, how, values)
  self:suspend(how)
  self.base(T).link = { thread = self.current, wait = self.current.wait }
  self:continue(T, values)
end

-- ---- errors ---------------------------------------------------------------------------------

-- Message handlers are called where the error is raised, before anything is unwound, and for an
-- error inside `load`, too. Does anything catch the error?
function model:call_handler(T, err)
  local caught = false
  for i = #T.frames, 1, -1 do
    local frame = T.frames[i]
    if frame.catches == "xpcall" then self:line(frame.label .. " handles", { err }) end
    caught = caught or frame.catches ~= nil
    if frame.catches and frame.catches ~= "load" then break end
  end
  return caught
end

-- Raises in the current thread, at its current operation.
function model:raise(T, err)
  local pending = T.pending
  if pending and pending.caught then
    T.pending = nil
    self:line(pending.label, { "false", err })
    return
  end
  if self:call_handler(T, err) then
    T.pending = nil
    self:unwind(T, err)
  else
    self:die(T, err)
  end
end

-- To the innermost frame that catches.
function model:unwind(T, err)
  while true do
    local frame = T.frames[#T.frames]
    if frame.catches == "main" then
      self:line("main fails", { err })
      return
    end
    T.frames[#T.frames] = nil
    if frame.closes then self:line(frame.label .. " closes", { err }) end
    if frame.catches then
      self:line(frame.label, { frame.catches == "load" and "nil" or "false", err })
      return
    end
  end
end

-- To-be-closed variables of a thread that does not run.
function model:close_variables(T, err)
  for i = #T.frames, 1, -1 do
    if T.frames[i].closes then self:line(T.frames[i].label .. " closes", { err }) end
  end
  T.frames = {}
end

-- The position that `wrap` puts before strings.
local function with_position(m, pending, err)
  if err:sub(1, 1) == '"' then return model.text(err:sub(2, -2), pending.position) end
  local is_number = m.version.wrap_adds_position_to_numbers and err:match "^%d+$"
  return is_number and model.text(err, pending.position) or err
end

-- What a function made by wrap raises of a thread that failed.
function model:raised_by_wrap(T, pending)
  local err = T.failed
  if self.version.has_close then
    self:close_variables(T, err)
    T.failed, T.refers = nil, nil
  end
  return with_position(self, pending, err)
end

-- Nothing in the thread catches the error.
function model:die(T, err)
  local below = T.below
  T.state, T.failed, T.frames = "dead", err, T.frames or {}
  T.refers = T.pending and T.pending.refers or {}
  T.refers[#T.refers + 1], T.pending = below, nil
  T.failed_under_standard = below ~= nil
  local heir, resumed = self.resumer(T), true
  if below then
    T.below, below.above = nil, nil
    self.current, heir = below, below
  elseif not heir then
    heir, resumed = self:top_of_host(), false
  end
  if not resumed then
    self:continue_with_error(heir, err)
  elseif heir.how == "wrap" or (below and heir.pending.how == "wrap") then
    err = self:raised_by_wrap(T, heir.pending)
    if below then self:raise(heir, err) else self:continue_with_error(heir, err) end
  elseif below then
    self:deliver(heir, { "false", err })
  else
    self:continue_with_error(heir, err)
  end
end

-- ---- ends -----------------------------------------------------------------------------------

-- The thread's function returned.
function model:finish(T, values)
  T.state, T.frames = "dead", {}
  local below, resumer = T.below, self.resumer(T)
  if below then
    T.below, below.above = nil, nil
    self.current = below
    if below.pending.how == "resume" then prepend("true", values) end
    self:deliver(below, values)
  elseif resumer then
    self:continue(resumer, values)
  else
    local text = "coroutine ended without transferring control"
    self:continue_with_error(self:top_of_host(), self.text(text))
  end
end

local function end_of_frame(m, T, frame)
  if frame.times and frame.times > 1 then
    frame.times, frame.pc, frame.repeats = frame.times - 1, 1, true
    return
  end
  T.frames[#T.frames] = nil
  if frame.closes then m:line(frame.label .. " closes", { "nil" }) end
  if frame.catches == "load" then
    m:line(frame.label, { "function" })
  elseif frame.catches then
    m:line(frame.label, { "true" })
  elseif #T.frames == 0 then
    m:finish(T, { n = 0 })
  end
end

-- ---- running --------------------------------------------------------------------------------

-- False if an operation turned out to be undefined after it was performed before: the program
-- without it is to be run anew.
function model:run(operations, more)
  while true do
    local T = self.current
    local frame = T.frames[#T.frames]
    local operation = frame.list[frame.pc]
    if not operation and more and not frame.repeats then
      more(self, T, frame)
      operation = frame.list[frame.pc]
    end
    if operation then
      frame.pc = frame.pc + 1
      if not self.omitted[operation] then
        local ok, err = pcall(operations[operation.what], self, T, operation)
        if ok then
          self.performed[operation] = true
        elseif err ~= undefined then
          error(err, 0)
        else
          self.omitted[operation], T.pending = true, nil
          if self.performed[operation] then return false end
        end
      end
    elseif frame.catches == "main" then
      return true
    else
      end_of_frame(self, T, frame)
    end
  end
end

return model
