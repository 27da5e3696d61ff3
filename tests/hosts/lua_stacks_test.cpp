// Room on Lua stacks for the values that are handed over, though the collector takes away what is
// not in use.
#include <gtest/gtest.h>

#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

TEST(LuaStacks, HaveRoomForManyValuesWhileTheCollectorIsAtItsMostEager) {
  state host;
  host.require_coro();
  EXPECT_EQ(host.run(R"(
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 100000)
    local values = {}
    for i = 1, 5000 do values[i] = i end
    for _, start in ipairs { coro.transfer, coro.resume } do
      local thread = coro.create(function(...)
        local n = select("#", ...)
        while true do n = select("#", coro.transfer(nil, n)) end
      end)
      for n = 100, 5000, 100 do
        local one, other = start(thread, (unpack or table.unpack)(values, 1, n))
        assert(one == n or other == n)
      end
    end
    local thread = coro.create(function(...) coro.yield(...) return ... end)
    assert(select("#", coro.resume(thread, (unpack or table.unpack)(values))) == 5001)
    assert(select("#", coro.resume(thread)) == 5001)
  )"),
            "");
}

}  // namespace
}  // namespace luacoro::hosts
