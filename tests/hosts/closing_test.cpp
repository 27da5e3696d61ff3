// The end of a Lua state, whatever its threads do at that time; the module in one state after the
// other, and in several at once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "hosts/failing_system.h"
#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Threads that are suspended in every way there is; `n` of each.
constexpr const char* suspend_in_every_way = R"(
  kept = {}
  local function keep(f)
    local thread = coro.create(f)
    kept[#kept + 1] = thread
    return thread
  end
  for _ = 1, 20 do
    keep(tostring)
    coro.transfer(keep(function() coro.transfer(nil) end))
    coro.resume(keep(function() coro.yield() end))
    coro.transfer(keep(function() in_sort(coro.transfer) end))
    coro.resume(keep(function() in_sort(coro.yield) end))
    coro.transfer(keep(function() coro.wrap(function() in_sort(coro.transfer) end)() end))
    coro.transfer(keep(function()
      fixture.standard.wrap(function() coro.transfer(nil) end)()
    end))
    coro.transfer(keep(function() pcall(coro.ptransfer) end))
  end
)";

class Closing : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(, Closing, ::testing::Values("mounted", "unmounted"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Closing, FreesThreadsThatAreSuspendedInEveryWay) {
  const std::size_t mapped_before = mapped_bytes(), blocks_before = new_blocks();
  for (int i = 0; i < 20; ++i) {
    state host;
    host.require_coro(GetParam());
    EXPECT_EQ(host.run(suspend_in_every_way), "");
  }
  EXPECT_EQ(new_blocks(), blocks_before);
  EXPECT_LT(mapped_bytes(), mapped_before + no_c_stack);
}

// Where the version runs all other finalizers then, coro's own are among them.
TEST_P(Closing, FreesEverythingWhereAFinalizerCollectsInAGenerator) {
  if (LUA_VERSION_NUM == 501 && !lua::is_luajit)
    GTEST_SKIP() << "5.1 does not tell that a finalizer runs, and leaks what that stands on";
  const std::size_t mapped_before = mapped_bytes(), blocks_before = new_blocks();
  for (int i = 0; i < 20; ++i) {
    state host;
    host.require_coro(GetParam());
    EXPECT_EQ(host.run(R"(
      last = fixture.with_finalizer(function()
        local inner = coro.wrap(function()
          coro.yield(1)
          collectgarbage()
          coro.yield(2)
        end)
        local outer = coro.wrap(function() for i in inner do coro.yield(i) end end)
        outer()
        outer()
        pcall(outer)
      end)
      collectgarbage() -- 5.3 does not come back from that one where a cycle is in progress
      collectgarbage 'stop'
    )"),
              "");
  }
  EXPECT_EQ(new_blocks(), blocks_before);
  EXPECT_LT(mapped_bytes(), mapped_before + no_c_stack);
}

// Lua: close_state(). From the thread that runs. Ends the process, since nothing is left to go on.
constexpr int closed = 42, left_something = 43;
state* to_be_closed = nullptr;

int close_state(lua_State*) {
  lua_close(to_be_closed->L);
  // The C stack that this stands on stays.
  const bool all_gone = to_be_closed->used.bytes() == 0;
  _exit(all_gone ? closed : left_something);
}

void close_inside(const char* suspension, const char* program) {
  state host;
  to_be_closed = &host;
  host.set_function("close_state", close_state);
  host.require_coro(suspension);
  EXPECT_EQ(host.run(suspend_in_every_way), "");
  EXPECT_EQ(host.run(program), "");
}

using ClosingDeathTest = Closing;

INSTANTIATE_TEST_SUITE_P(, ClosingDeathTest, ::testing::Values("mounted", "unmounted"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(ClosingDeathTest, WorksOnTheCStackOfARunningThread) {
  EXPECT_EXIT(close_inside(GetParam(), "coro.transfer(coro.create(close_state))"),
              ::testing::ExitedWithCode(closed), "");
  EXPECT_EXIT(close_inside(GetParam(), "coro.wrap(function() in_sort(close_state) end)()"),
              ::testing::ExitedWithCode(closed), "");
  EXPECT_EXIT(close_inside(GetParam(),
                           "in_sort(coro.wrap(function()\n"
                           "  in_sort(coro.wrap(function() in_sort(close_state) end))\n"
                           "end))"),
              ::testing::ExitedWithCode(closed), "");
}

// What every state can do.
constexpr const char* short_program = R"(
  local sum = 0
  local generator = coro.wrap(function()
    for i = 1, 10 do in_sort(function() coro.yield(i) end) end
  end)
  for i in generator do sum = sum + i end
  assert(sum >= 55)
)";

TEST_P(Closing, LeavesOtherStatesAlone) {
  state first;
  first.require_coro(GetParam());
  EXPECT_EQ(first.run(suspend_in_every_way), "");
  for (int i = 0; i < 10; ++i) {
    state second;
    second.require_coro(GetParam());
    EXPECT_EQ(second.run(suspend_in_every_way), "");
    EXPECT_EQ(first.run(short_program), "");
    EXPECT_EQ(second.run(short_program), "");
  }
  EXPECT_EQ(first.run("for _, thread in ipairs(kept) do pcall(coro.transfer, thread) end"), "");
}

// Lua: run_in_other(chunk). In another state of the same process.
state* other_state = nullptr;

int run_in_other(lua_State* L) {
  const std::string error = other_state->run(lua_tostring(L, 1));
  lua_pushstring(L, error.c_str());
  return 1;
}

TEST_P(Closing, OfAStateInsideAnothersCoroutineLeavesThatOneAlone) {
  state outer;
  outer.require_coro(GetParam());
  outer.set_function("run_in_other", run_in_other);
  auto inner = std::make_unique<state>();
  inner->require_coro(GetParam());
  other_state = inner.get();
  static std::unique_ptr<state>* to_be_reset = nullptr;
  to_be_reset = &inner;
  outer.set_function("close_other", [](lua_State*) -> int {
    to_be_reset->reset();
    return 0;
  });
  EXPECT_EQ(inner->run(suspend_in_every_way), "");
  const std::string program = short_program;
  EXPECT_EQ(outer.run("local program = [[" + program +
                      "]]\n"
                      "local thread = coro.create(function()\n"
                      "  assert(run_in_other(program) == '')\n"
                      "  in_sort(function() coro.yield(run_in_other(program)) end)\n"
                      "  in_sort(close_other)\n"
                      "  coro.yield 'closed'\n"
                      "end)\n"
                      "repeat\n"
                      "  local _, result = assert(coro.resume(thread))\n"
                      "  assert(result == '' or result == 'closed')\n"
                      "until result == 'closed'"),
            "");
  EXPECT_EQ(outer.run(short_program), "");
}

}  // namespace
}  // namespace luacoro::hosts
