// A file descriptor that is registered with Asio, and who waits for it.
// Floor 5.
//
// It is kept registered for as long as its socket is wrapped, or while somebody waits for it. The
// file descriptor itself belongs to others, and is never closed here. They may close it and get its
// number again for something else: `file` tells, where nobody would have told us.
//
// In each direction at most one operation of Asio is pending (`watched`). It is not cancelled when
// those who wait for it give up: the next who waits finds it there.
#pragma once

#include <sys/stat.h>

#include <asio/posix/basic_stream_descriptor.hpp>
#include <list>

#include "loop/wait.h"

namespace luacoro::loop {

enum direction : std::uint8_t { reading, writing };

// What a number stands for. All of the kinds that have no name and are no sockets or pipes, such as
// timers of the system, are the same.
struct file_identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const file_identity&) const = default;

  static file_identity of(int fd) noexcept {
    struct stat found;
    if (::fstat(fd, &found) != 0) return {};
    return {found.st_dev, found.st_ino};
  }
};

struct descriptor {
  explicit descriptor(const executor& of, int number) : fd(number), stream(of, number) {}

  // Of an operation of Asio's.
  struct memory {
    alignas(std::max_align_t) std::array<std::byte, 112> bytes;
  };

  const int fd;
  asio::posix::basic_stream_descriptor<executor> stream;
  std::array<wait*, 2> waiting{};  // the first ones
  std::array<bool, 2> watched{};
  memory to_read;
  std::unique_ptr<memory> to_write;  // most never wait for that
  bool is_open = true;               // false: freed when nothing of Asio's is pending any more
  bool is_temporary = false;         // released when nobody waits for it
  file_identity file;                // of a temporary one
  descriptor** owner = nullptr;      // where its address is kept; cleared when it is released
  std::list<descriptor>::iterator self;
};

}  // namespace luacoro::loop
