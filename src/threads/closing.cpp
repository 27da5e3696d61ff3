#include "threads/closing.h"

namespace luacoro {
namespace {

// Has the thread so many functions active, one called by the other?
bool is_deep(lua_State* L, int levels) noexcept {
  lua_Debug ar;
  return lua_getstack(L, levels - 1, &ar) != 0;
}

}  // namespace

int depth_of(lua_State* L) noexcept {
  int depth = 0, beyond = 1;
  for (; is_deep(L, beyond); beyond *= 2) depth = beyond;
  while (beyond - depth > 1) {
    const int middle = depth + (beyond - depth) / 2;
    (is_deep(L, middle) ? depth : beyond) = middle;
  }
  return depth;
}

namespace {

// Call and count hook of a thread that is being unwound.
//
// A function that it calls now stands above the frames that are being unwound, at least as deep as
// the first of its kind; and whatever goes on in those frames goes on less deep than that, since
// the protected call that caught the error stood in between.
void keep_unwinding(lua_State* L, lua_Debug* ar) {
  runtime& rt = runtime_of_universe(L);
  carrier& here = *rt.current;
  if (L != here.base || !here.unwinding.active) return;
  int& called_at = here.unwinding.called_at;
  const bool in_call = called_at != 0 && is_deep(L, called_at);
  if (in_call) return;
  if (ar->event != LUA_HOOKCOUNT) {
    called_at = depth_of(L);
    return;
  }
  called_at = 0;
  lua_pushstring(L, closing_text);
  lua::raise_in_hook(L, rt.layout);
}

}  // namespace

bool needs_unwinding(const runtime& rt, lua_State* T, const place& at) noexcept {
  if (!lua::has_close) return true;
  return at.on != nullptr && !can_unmount(rt, T, *at.on);
}

void start_unwinding(runtime& rt, const departure& d) noexcept {
  carrier& on = d.there != nullptr ? *d.there : *rt.current;
  on.unwinding = {true, 0, lua::hook_of(d.to)};
  lua_sethook(d.to, keep_unwinding, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

void end_unwinding(runtime& rt, carrier& c) noexcept {
  lua::saved_hook before = c.unwinding.before;
  c.unwinding = {};
  // Where all threads have one hook, it stays while another unwinding goes on, and what that is to
  // put back is what this one was, if it began meanwhile. If the program has set its own, that
  // stays.
  if (lua::hook_is_shared) {
    before.thread = rt.main;
    bool is_needed = false;
    for (std::size_t i = 1; i < rt.pool.size(); ++i) {
      auto& other = rt.pool.at(i)->unwinding;
      if (!other.active) continue;
      is_needed = true;
      if (other.before.hook == keep_unwinding) {
        other.before = before;
        break;
      }
    }
    if (is_needed || lua_gethook(rt.main) != keep_unwinding) return;
  }
  lua::put_back(before);
}

void forget_unwinding(runtime& rt, carrier& c) noexcept {
  if (lua::hook_is_shared) end_unwinding(rt, c);  // else it goes with its thread
}

int close_here(runtime& rt, lua_State* T) noexcept {
  carrier& here = *rt.current;
  ++here.closes;
  const int status = lua::close(T);
  --here.closes;
  return status;
}

}  // namespace luacoro
