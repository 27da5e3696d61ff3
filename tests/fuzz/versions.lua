-- What differs between Lua versions, as far as the model predicts it: what the reference manuals
-- say, and the texts of the standard library.
--
--   version(name)   name: 5.1, 5.2, 5.3, 5.4 or luajit
local function version(name)
  local is_51, is_jit = name == "5.1", name == "luajit"
  local number = is_jit and 5.1 or tonumber(name)
  local v = { name = name, is_jit = is_jit }

  -- To-be-closed variables and coroutine.close.
  v.has_close = number >= 5.4
  -- Can the standard yield leave a pcall, a metamethod, an iterator?
  v.pcall_yields = not is_51
  v.metamethods_yield = not is_51
  v.wrap_adds_position_to_numbers = number <= 5.2 and not is_jit
  -- Which functions the standard library has, and whether isyieldable takes an argument.
  v.standard_isyieldable = number >= 5.3 or is_jit
  v.standard_isyieldable_of = number >= 5.4
  -- A thread with nothing on its stack just then, in a wrap function without arguments, say, is
  -- taken for dead by the standard resume.
  v.confuses_empty_with_dead = number == 5.2 or number == 5.3
  -- Dead slots and compiled code keep objects alive.
  v.collects_exactly = not is_jit

  if is_51 then
    v.yield_outside = "attempt to yield across metamethod/C-call boundary"
  elseif is_jit then
    v.yield_outside = "attempt to yield across C-call boundary"
  else
    v.yield_outside = "attempt to yield from outside a coroutine"
    v.yield_across = "attempt to yield across a C-call boundary"
  end
  v.yield_across = v.yield_across or v.yield_outside
  v.yield_error_has_position = is_jit

  v.resume_running = number <= 5.1 and "cannot resume running coroutine"
    or "cannot resume non-suspended coroutine"
  v.resume_normal = is_51 and "cannot resume normal coroutine" or v.resume_running

  v.thread_expected = (number >= 5.3 and "thread" or "coroutine") .. " expected"
  v.thread_expected_tells_what_it_got = number >= 5.4
  return v
end

return version
