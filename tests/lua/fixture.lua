-- What every spec file uses: the module, and a check that each test leaves nothing behind.
--
--   local fixture = require "fixture"
--   local coro = fixture.coro
--   describe("...", function()
--     fixture.leaves_nothing(before_each, after_each)
--
-- The suite runs in several modes (mode.lua); results are the same.
local mode = require "mode"
local coro = require "coro"

local fixture = { coro = coro, lua = jit and "luajit" or _VERSION }

-- The standard library, whatever is installed over it.
fixture.standard = package.loaded.coroutine

mode.relax() -- but in the tests themselves

-- LuaJIT's collector takes what an earlier call left in the slots of a later one for alive.
local function wipe_stack(depth)
  local a, b, c, d, e, f, g, h = nil, nil, nil, nil, nil, nil, nil, nil
  if depth > 0 then wipe_stack(depth - 1) end
  return a, b, c, d, e, f, g, h
end

-- Finalizers of one cycle may drop what only the next one collects.
function fixture.collect()
  wipe_stack(50)
  if jit then jit.flush() end -- traces keep the functions alive that they were compiled for
  for _ = 1, 3 do collectgarbage() end
end

local counters = { "threads", "mounted", "pinned", "stacks_in_use" }

function fixture.leaves_nothing(before_each, after_each)
  local before
  before_each(function()
    fixture.collect()
    before = coro.stats()
    mode.stress()
  end)
  after_each(function()
    mode.relax()
    fixture.collect()
    local after = coro.stats()
    for _, counter in ipairs(counters) do
      if after[counter] ~= before[counter] then
        error(("left behind: %d %s, %d before"):format(after[counter], counter, before[counter]), 0)
      end
    end
  end)
end

-- The results of a call as a table with its count in `n`.
function fixture.pack(...) return { n = select("#", ...), ... } end

-- Runs a program in another process of the same Lua; what it prints.
function fixture.run(program, options)
  local first = -1
  while arg[first - 1] do first = first - 1 end
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(("package.path = %q package.cpath = %q\n"):format(package.path, package.cpath))
  file:write(program)
  file:write "\nio.write 'end of program\\n'\n"
  file:close()
  local command = ("%s %s %s 2>&1; echo exit status $?"):format(arg[first], options or "", name)
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  os.remove(name)
  return output
end

-- An object whose finalizer is f.
function fixture.with_finalizer(f)
  if not newproxy then return setmetatable({}, { __gc = f }) end -- luacheck: ignore
  local proxy = newproxy(true) -- luacheck: ignore
  getmetatable(proxy).__gc = f
  return proxy
end

-- Calls f, which takes as many C stacks at once as it is given. Valgrind has addresses for 128 GB
-- only, and those of LuaJIT cannot be smaller.
function fixture.with_many_stacks(f)
  local before = coro.configure()
  local are_few = os.getenv "CORO_FEW_ADDRESSES"
  if are_few then coro.configure(jit and { max_depth = 500 } or { stack_size = 1048576 }) end
  f(are_few and jit and 500 or math.huge)
  coro.configure(before)
end

fixture.unpack = unpack or table.unpack -- luacheck: ignore

return fixture
