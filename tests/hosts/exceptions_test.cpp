// C++ functions called from coroutines, and exceptions: in flight while their coroutine is left,
// and leaving their function.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <stdexcept>
#include <string>

#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Lua: log(text)
std::string& log_of(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "log");
  auto* log = static_cast<std::string*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return *log;
}

int log(lua_State* L) {
  log_of(L).append(lua_tostring(L, 1)).append(" ");
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

// Lua: throw_exception(). What it throws leaves it.
int throw_exception(lua_State*) { throw std::runtime_error("from C++"); }

// Lua: with_object(f). Calls f() while an object is there whose destructor logs.
int with_object(lua_State* L) {
  struct logs {
    lua_State* L;
    ~logs() { log_of(L).append("destroyed "); }
  };
  const logs object{L};
  lua_pushvalue(L, 1);
  lua_call(L, 0, 0);
  return 0;
}

constexpr const char* prelude = R"(
  -- Runs f(name, wait) in a thread for each f, in turns; wait(text) logs the text and transfers.
  function alternate(...)
    local threads = {}
    for i, f in ipairs { ... } do
      threads[i] = coro.create(function()
        f("exception " .. i, function(text)
          log(i .. ":" .. text)
          coro.transfer(nil)
        end)
        log(i .. ":done")
        coro.transfer(nil)
      end)
    end
    for _ = 1, 3 do
      for _, thread in ipairs(threads) do coro.transfer(thread) end
    end
  end
)";

class Exceptions : public ::testing::Test {
 protected:
  Exceptions() {
    lua_pushlightuserdata(host_.L, &log_);
    lua_setfield(host_.L, LUA_REGISTRYINDEX, "log");
    host_.set_function("log", log);
    host_.set_function("in_catch_block", in_catch_block);
    host_.set_function("in_destructor", in_destructor);
    host_.set_function("throw_exception", throw_exception);
    host_.set_function("with_object", with_object);
    host_.require_coro();
    EXPECT_EQ(host_.run(prelude), "");
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

// Where Lua's errors are exceptions, they run destructors; longjmp knows of none.
TEST_F(Exceptions, AndErrorsDestroyWhatIsInCppFramesWhereLuasErrorsAreExceptions) {
  const std::string destroyed = errors_are_exceptions() ? "destroyed " : "";
  EXPECT_EQ(host_.run("local thread = coro.create(function() with_object(error) end)\n"
                      "assert(not coro.resume(thread))"),
            "");
  EXPECT_EQ(log_, destroyed);

  log_.clear();
  EXPECT_EQ(host_.run("local thread = coro.create(function() with_object(coro.transfer) end)\n"
                      "coro.transfer(thread)\n"
                      "assert(not pcall(coro.throw, thread, 'thrown'))"),
            "");
  EXPECT_EQ(log_, destroyed);

  log_.clear();
  EXPECT_EQ(host_.run("local thread = coro.create(function() with_object(coro.transfer) end)\n"
                      "coro.transfer(thread)\n"
                      "assert(coro.close(thread))"),
            "");
  EXPECT_EQ(log_, destroyed);
}

TEST_F(Exceptions, AreNotSeenByThreadsThatAreCollected) {
  EXPECT_EQ(host_.run("local thread = coro.create(function() with_object(coro.transfer) end)\n"
                      "coro.transfer(thread)\n"
                      "thread = nil\n"
                      "fixture.collect()\n"
                      "assert(coro.stats().stacks_in_use == 0)"),
            "");
  EXPECT_EQ(log_, "");
}

// Ways for an exception to leave the C++ function that it was thrown in.
constexpr const char* let_out[] = {
    "return coro.resume(coro.create(throw_exception))",
    "return coro.resume(coro.create(function() throw_exception() end))",
    "return coro.resume(coro.create(function() in_sort(throw_exception) end))",
    "return pcall(coro.wrap(function() throw_exception() end))",
    "return pcall(coro.transfer, coro.create(function() throw_exception() end))",
    "return coro.resume(coro.create(function() with_object(throw_exception) end))",
    "return coro.wrap(function()\n"
    "  local results\n"
    "  in_sort(function() results = { pcall(throw_exception) } end)\n"
    "  return results[1], results[2]\n"
    "end)()"};

TEST_F(Exceptions, ThatLeaveTheirFunctionAreErrorsWhereLuasErrorsAreExceptions) {
  if (!errors_are_exceptions()) GTEST_SKIP() << "they end the program";
  for (const char* way : let_out) {
    EXPECT_EQ(host_.run(std::string("function let_out() ") + way +
                        " end\n"
                        "local ok\n"
                        "ok, err = let_out()\n"
                        "assert(ok == false)\n"
                        "-- Everything goes on.\n"
                        "assert(coro.wrap(function() in_sort(coro.yield) return 1 end)() == nil)\n"
                        "assert(coro.current() == nil)"),
              "")
        << way;
    // Lua does not say what the error value is.
    if (lua::is_luajit) {
      EXPECT_EQ(host_.run("assert(err == 'C++ exception', err)"), "") << way;
    }
  }
  EXPECT_EQ(host_.run("fixture.collect()\n"
                      "local stats = coro.stats()\n"
                      "assert(stats.threads == 0 and stats.stacks_in_use == 0)"),
            "");
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_EQ(std::current_exception(), nullptr);
}

using ExceptionsDeathTest = Exceptions;

// Lua built as C has no frames for them to be caught in, and they never get to another C stack.
TEST_F(ExceptionsDeathTest, ThatLeaveTheirFunctionEndTheProgramWhereLuaIsBuiltAsC) {
  if (errors_are_exceptions()) GTEST_SKIP() << "they are errors";
  for (const char* way : let_out) {
    const auto run_and_catch = [this, way] {
      try {
        (void)host_.run(way);
      } catch (...) {
      }
      _exit(0);
    };
    EXPECT_EXIT(run_and_catch(), ::testing::KilledBySignal(SIGABRT), "from C\\+\\+") << way;
  }
}

}  // namespace
}  // namespace luacoro::hosts
