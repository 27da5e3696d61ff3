// safewrap: a generator whose own `yield` goes back to the wrapper's caller from any thread.
//
// The wrapper and its `yield` share the generator's thread and a box, a table whose only value is
// the thread that the next call continues: the generator itself, or whoever called `yield` last.
// The wrapper's caller is the generator's resumer all the while.
#include "module/edge.h"
#include "threads/census.h"
#include "threads/link.h"

namespace luacoro {
namespace {

// Upvalues of both functions: the runtime, the generator's thread, the box.
constexpr int generator_upvalue = 2, box_upvalue = 3;

// [-0, +0]
void put_in_box(lua_State* L, lua_State* T) noexcept {
  push_thread(L, T);
  lua_rawseti(L, lua_upvalueindex(box_upvalue), 1);
}

// yield(...) -> ...
int yield_from_anywhere(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  lua_State* generator = lua_tothread(L, lua_upvalueindex(generator_upvalue));
  const resumer_link caller = find_link(rt, generator).resumer;
  const bool own = rt.current->base == generator;
  departure d{.from = L,
              .to = caller.thread,
              .at = {},
              .values = lua_gettop(L),
              // What waits in `yield` may be resumed; main, which may be here, too, may not.
              .how = own ? waiting::yield : waiting::transfer};
  if (!own && caller.thread != nullptr) {
    push_thread(L, caller.thread);  // kept alive by this frame, as everybody who is left for
    lua_insert(L, 1);
  }
  const problem why = prepare(rt, d, by_link(rt, caller));
  if (why != problem::none) [[unlikely]]
    raise_problem(L, rt, why, "yield");
  put_in_box(L, L);
  return go(L, rt, d);
}

// The wrapper.
int call_generator(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  lua_State* generator = lua_tothread(L, lua_upvalueindex(generator_upvalue));
  const int values = lua_gettop(L);
  lua_rawgeti(L, lua_upvalueindex(box_upvalue), 1);
  lua_State* inner = lua_tothread(L, -1);
  lua_insert(L, 1);  // kept alive by this frame
  departure d{.from = L, .to = inner, .at = {}, .values = values, .how = waiting::wrap};

  if (inner == generator) {
    if (const problem why = prepare_resume(rt, d); why != problem::none) [[unlikely]]
      raise_refusal(L, rt, why);
    return go(L, rt, d);
  }
  problem why = problem::none;
  if (rt.current->base == generator) {
    why = L == generator ? problem::to_current : problem::to_busy;
  } else if (find(rt, generator).where == standing::dead) {
    why = problem::to_dead;
  } else {
    why = prepare(rt, d, by_ticket(rt));
  }
  if (why != problem::none) [[unlikely]]
    raise_refusal(L, rt, why);
  put_in_box(L, generator);
  link_to_departing(rt, generator, L);
  return go(L, rt, d);
}

}  // namespace

// safewrap(f) -> function, thread
int edges::safewrap(lua_State* L) {
  check_function(L);
  runtime& rt = runtime_of_function(L);
  lua_State* generator = lua_newthread(L);  // 2
  count_thread(rt, L, generator);
  lua_createtable(L, 1, 0);  // 3: the box
  lua_pushvalue(L, 2);
  lua_rawseti(L, 3, 1);
  const auto push_closure = [L](lua_CFunction function) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, function, 3);
  };
  push_from_shelf(rt, L, runtime::generator_body);
  lua_pushvalue(L, 1);
  push_closure(yield_from_anywhere);
  lua_call(L, 2, 1);
  lua_xmove(L, generator, 1);

  push_closure(call_generator);
  lua_pushvalue(L, 2);
  return 2;
}

}  // namespace luacoro
