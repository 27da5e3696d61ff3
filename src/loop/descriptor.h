// A file descriptor that is registered with Asio, and who waits for it.
// Floor 5.
//
// It is kept registered for as long as its socket is wrapped, or for one wait. The file descriptor
// itself belongs to others, and is never closed here.
//
// In each direction at most one operation of Asio is pending (`watched`). It is not cancelled when
// those who wait for it give up: the next who waits finds it there.
#pragma once

#include <asio/posix/basic_stream_descriptor.hpp>
#include <list>

#include "loop/wait.h"

namespace luacoro::loop {

enum direction : std::uint8_t { reading, writing };

struct descriptor {
  explicit descriptor(const executor& of, int number) : fd(number), stream(of, number) {}

  static constexpr std::size_t operation_size = 112;

  const int fd;
  asio::posix::basic_stream_descriptor<executor> stream;
  std::array<std::vector<wait*>, 2> waiting;
  std::array<bool, 2> watched{};
  alignas(std::max_align_t) std::array<std::array<std::byte, operation_size>, 2> operations;
  bool is_open = true;           // false: freed when nothing of Asio's is pending any more
  bool is_temporary = false;     // released when nobody waits for it
  descriptor** owner = nullptr;  // where its address is kept; cleared when it is released
  std::list<descriptor>::iterator self;
};

}  // namespace luacoro::loop
