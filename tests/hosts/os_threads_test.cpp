// Several OS threads, each with a Lua state of its own: nothing is shared.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

TEST(OsThreads, RunAStateOfTheirOwnEachAtOnce) {
  constexpr int count = 8;
  std::vector<std::string> errors(count);
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([i, &error = errors[static_cast<std::size_t>(i)]] {
      for (int round = 0; round < 3 && error.empty(); ++round) {
        state host;
        host.require_coro(i % 2 == 0 ? "mounted" : "unmounted");
        error = host.run(R"(
          -- A ring of threads, some of them inside C frames.
          local ring, sum = {}, 0
          for i = 1, 100 do
            ring[i] = coro.create(function()
              local function pass_on()
                local value = coro.transfer(ring[i % 100 + 1], 1)
                sum = sum + value
              end
              sum = sum + 1
              while true do
                if i % 3 == 0 then in_sort(pass_on) else pass_on() end
                if sum >= 20000 then coro.transfer(nil) end
              end
            end)
          end
          coro.transfer(ring[1])
          assert(sum >= 20000)
          assert(loadfile(')" CORO_HOSTS R"(/whole_api.lua'))()
        )");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

}  // namespace
}  // namespace luacoro::hosts
