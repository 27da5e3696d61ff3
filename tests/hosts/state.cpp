#include "hosts/state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace luacoro::hosts {

void memory::fail(failing how, long nth) noexcept {
  made_ = 0;
  first_ = nth;
  last_ = how == failing::once ? nth : how == failing::twice ? nth + 1 : LONG_MAX;
  has_failed_ = false;
}

bool memory::fails_now() noexcept {
  if (first_ == 0) return false;
  ++made_;
  const bool fails = first_ <= made_ && made_ <= last_;
  has_failed_ = has_failed_ || fails;
  return fails;
}

// A block has its size before it and a mark behind it, to be found there when it is freed.
constexpr std::size_t head_size = alignof(std::max_align_t);
constexpr std::uint64_t mark = 0x6b72616d20646e65;

std::size_t& size_of(void* block) noexcept {
  return *reinterpret_cast<std::size_t*>(static_cast<char*>(block) - head_size);
}

void* memory::allocate(void* self, void* block, std::size_t, std::size_t wanted) noexcept {
  auto& used = *static_cast<memory*>(self);
  const std::size_t size = block != nullptr ? size_of(block) : 0;
  char* whole = block != nullptr ? static_cast<char*>(block) - head_size : nullptr;
  if (block != nullptr) {
    EXPECT_EQ(std::memcmp(whole + head_size + size, &mark, sizeof mark), 0)
        << "something has written beyond a block of " << size << " bytes";
  }
  ++used.calls_;
  if (wanted > size && used.fails_now()) return nullptr;
  used.bytes_ += wanted - size;
  if (wanted == 0) {
    std::free(whole);
    return nullptr;
  }
  whole = static_cast<char*>(std::realloc(whole, head_size + wanted + sizeof mark));
  if (whole == nullptr) std::abort();
  std::memcpy(whole + head_size + wanted, &mark, sizeof mark);
  size_of(whole + head_size) = wanted;
  return whole + head_size;
}

state::state() : L(lua_newstate(&memory::allocate, &used)) {
  EXPECT_NE(L, nullptr);
  luaL_openlibs(L);
  EXPECT_EQ(run("package.path = '" CORO_SPECS "/?.lua;' .. package.path\n"
                "package.cpath = '" CORO_MODULES "/?.so;' .. package.cpath"),
            "");
}

void state::close() {
  if (L == nullptr) return;
  lua_close(L);
  L = nullptr;
  EXPECT_EQ(used.bytes(), 0u) << "left behind by a Lua state that was closed";
}

static constexpr const char* at_hand = R"(
  fixture = require "fixture"
  coro = fixture.coro

  function in_sort(f)
    table.sort({ 2, 1 }, function(a, b)
      f()
      return a < b
    end)
  end

  function expect(expected, ...)
    local got = {}
    for i = 1, select("#", ...) do got[i] = tostring((select(i, ...))) end
    got = table.concat(got, " ")
    if got ~= expected then error(("expected '%s', got '%s'"):format(expected, got), 2) end
  end
)";

void state::require_coro(const std::string& suspension) {
  EXPECT_EQ(run(at_hand), "");
  if (suspension == "unmounted") {
    EXPECT_EQ(run("coro.configure { warm_stacks = 0 }"), "");
  }
}

std::string state::run(const std::string& chunk) {
  int status = luaL_loadbuffer(L, chunk.data(), chunk.size(), "=chunk");
  if (status == LUA_OK) status = lua_pcall(L, 0, 0, 0);
  return error_of(L, status);
}

long state::integer(const std::string& expression) {
  EXPECT_EQ(run("result_of_expression = " + expression), "");
  lua_getglobal(L, "result_of_expression");
  const auto result = static_cast<long>(lua_tointeger(L, -1));
  lua_pop(L, 1);
  return result;
}

void state::set_function(const char* name, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_setglobal(L, name);
}

void state::switch_compiler_off() { EXPECT_EQ(run("if jit then jit.off() end"), ""); }

std::string error_of(lua_State* L, int status) {
  if (status == LUA_OK) return "";
  const char* text = lua_tostring(L, -1);
  std::string error = text != nullptr ? text : luaL_typename(L, -1);
  lua_pop(L, 1);
  return error;
}

bool is_thorough() { return std::getenv("CORO_THOROUGH") != nullptr; }

bool errors_are_exceptions() {
  static bool unwound = false;
  const auto raise = [](lua_State* L) -> int {
    struct note {
      ~note() { unwound = true; }
    } destroyed;
    return lua_error(L);
  };
  state scratch;
  lua_pushcfunction(scratch.L, raise);
  (void)lua_pcall(scratch.L, 0, 0, 0);
  return unwound;
}

namespace {

std::size_t bytes_of(std::size_t field) {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  for (std::size_t i = 0; i <= field; ++i) statm >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::size_t mapped_bytes() { return bytes_of(0); }
std::size_t resident_bytes() { return bytes_of(1); }

std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return lines;
}

}  // namespace luacoro::hosts
