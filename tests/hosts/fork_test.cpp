// fork() in a coroutine: both processes go on, each with all threads as they were.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Lua: fork() -> "parent" or "child"
pid_t child = 0;

int fork_here(lua_State* L) {
  child = ::fork();
  lua_pushstring(L, child == 0 ? "child" : "parent");
  return 1;
}

constexpr const char* program = R"(
  local others, sum = {}, 0
  for i = 1, 50 do
    others[i] = coro.create(function()
      for _ = 1, 4 do
        local function receive()
          local value = coro.transfer(nil)
          sum = sum + value
        end
        if i % 2 == 0 then in_sort(receive) else receive() end
      end
      coro.transfer(nil)
    end)
    coro.transfer(others[i])
  end
  local function visit_all()
    for _, other in ipairs(others) do coro.transfer(other, 1) end
  end
  local forking = coro.create(function()
    in_sort(function()
      if not process then process = fork() end
      coro.transfer(nil)
    end)
    coro.transfer(nil)
  end)
  visit_all()
  coro.transfer(forking)
  visit_all()
  coro.transfer(forking)
  assert(sum == 100)
  fixture.collect()
  for i = 1, 200 do coro.wrap(function() in_sort(coro.yield) end)() end
)";

TEST(Fork, InACoroutineLetsBothProcessesGoOn) {
  for (const char* suspension : {"mounted", "unmounted"}) {
    std::string error;
    {
      state host;
      host.set_function("fork", fork_here);
      host.require_coro(suspension);
      error = host.run(program);
    }
    if (child == 0) _exit(error.empty() && !HasFailure() ? 0 : 1);
    EXPECT_EQ(error, "");
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
}

}  // namespace
}  // namespace luacoro::hosts
