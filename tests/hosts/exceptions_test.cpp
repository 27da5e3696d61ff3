// C++ functions called from coroutines, and exceptions: in flight while their coroutine is left,
// and leaving their function.
#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>

#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Lua: log(text)
std::string* log_of_test = nullptr;

int log(lua_State* L) {
  log_of_test->append(lua_tostring(L, 1)).append(" ");
  return 0;
}

// Calls the function at `index` with a text.
void call_with(lua_State* L, int index, const char* text) {
  lua_pushvalue(L, index);
  lua_pushstring(L, text);
  lua_call(L, 1, 0);
}

// Lua: in_catch_block(name, wait). Calls wait("caught") inside a catch block, rethrows after that.
int in_catch_block(lua_State* L) {
  bool is_own = false;
  try {
    try {
      throw std::runtime_error(lua_tostring(L, 1));
    } catch (const std::exception&) {
      call_with(L, 2, "caught");
      throw;
    }
  } catch (const std::exception& e) {
    is_own = std::string(e.what()) == lua_tostring(L, 1) && std::uncaught_exceptions() == 0;
  }
  call_with(L, 2, is_own ? "own exception" : "foreign exception");
  return 0;
}

// Lua: in_destructor(name, wait). Calls wait() inside a destructor while the stack is unwound.
int in_destructor(lua_State* L) {
  struct waits {
    lua_State* L;
    int in_flight;
    ~waits() noexcept(false) {
      in_flight = std::uncaught_exceptions();
      call_with(L, 2, in_flight == 1 ? "one in flight" : "wrong");
      if (std::uncaught_exceptions() != in_flight) call_with(L, 2, "wrong");
    }
  };
  bool is_own = false;
  try {
    const waits leaver{L, 0};
    throw std::runtime_error(lua_tostring(L, 1));
  } catch (const std::exception& e) {
    is_own = std::string(e.what()) == lua_tostring(L, 1) && std::uncaught_exceptions() == 0;
  }
  call_with(L, 2, is_own ? "own exception" : "foreign exception");
  return 0;
}

int throw_exception(lua_State*) { throw std::runtime_error("from C++"); }

class Exceptions : public ::testing::Test {
 protected:
  Exceptions() {
    log_of_test = &log_;
    host_.set_function("log", log);
    host_.set_function("in_catch_block", in_catch_block);
    host_.set_function("in_destructor", in_destructor);
    host_.set_function("throw_exception", throw_exception);
    host_.require_coro();
    EXPECT_EQ(host_.run("function alternate(...)\n"
                        "  local threads = {}\n"
                        "  for i, f in ipairs { ... } do\n"
                        "    threads[i] = coro.create(function()\n"
                        "      f('exception ' .. i, function(text)\n"
                        "        log(i .. ':' .. text)\n"
                        "        coro.transfer(nil)\n"
                        "      end)\n"
                        "      log(i .. ':done')\n"
                        "      coro.transfer(nil)\n"
                        "    end)\n"
                        "  end\n"
                        "  for _ = 1, 3 do\n"
                        "    for _, thread in ipairs(threads) do coro.transfer(thread) end\n"
                        "  end\n"
                        "end"),
              "");
  }

  std::string log_;
  state host_;
};

TEST_F(Exceptions, StayWithTheCatchBlockThatALuaThreadWaitsIn) {
  EXPECT_EQ(host_.run("alternate(in_catch_block, in_catch_block)"), "");
  EXPECT_EQ(log_, "1:caught 2:caught 1:own exception 2:own exception 1:done 2:done ");
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST_F(Exceptions, StayWithTheDestructorThatALuaThreadWaitsIn) {
  EXPECT_EQ(host_.run("alternate(in_destructor, in_destructor)"), "");
  EXPECT_EQ(log_, "1:one in flight 2:one in flight 1:own exception 2:own exception 1:done 2:done ");
  EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST_F(Exceptions, StayWhereTheyAreWhenErrorsAreRaisedElsewhere) {
  EXPECT_EQ(host_.run("local function fails(name, wait)\n"
                      "  log(tostring(pcall(error)))\n"
                      "  wait 'failed'\n"
                      "  log(select(2, pcall(error, 'message')))\n"
                      "  wait 'again'\n"
                      "end\n"
                      "alternate(in_catch_block, fails, in_destructor)"),
            "");
  EXPECT_EQ(log_,
            "1:caught false 2:failed 3:one in flight 1:own exception message 2:again "
            "3:own exception 1:done 2:done 3:done ");
}

}  // namespace
}  // namespace luacoro::hosts
