#include "queue.h"

#include <exception>

namespace medmamba::addon {

namespace {

// Names to a profiler what the executor does while it lives: a block's many operations belong together.
class Annotation {
public:
    Annotation(const mm_backend* backend, mm_stream* stream, const char* name) : backend_(backend), stream_(stream) {
        if (backend_->annotate) backend_->annotate(stream_, name);
    }
    ~Annotation() {
        if (backend_->annotate) backend_->annotate(stream_, nullptr);
    }
    Annotation(const Annotation&) = delete;
    Annotation& operator=(const Annotation&) = delete;

private:
    const mm_backend* backend_;
    mm_stream* stream_;
};

}  // namespace

Queue::Queue(const mm_backend* backend, mm_stream* stream)
    : backend_(backend), stream_(stream), thread_([this] { run(); }) {}

void Queue::push(Item item) {
    {
        std::lock_guard lock(mutex_);
        items_.push_back(std::move(item));
    }
    wake_.notify_one();
}

void Queue::drain() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return stopping_ || (items_.empty() && !busy_); });
}

void Queue::stop() {
    if (!thread_.joinable()) return;
    std::deque<Item> dropped;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        dropped.swap(items_);
    }
    wake_.notify_one();
    thread_.join();
}

void Queue::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !items_.empty(); });
        if (stopping_) return;
        Item item = std::move(items_.front());
        items_.pop_front();
        busy_ = true;
        lock.unlock();
        execute(item);
        item = {};  // what it holds is freed here, not under the lock
        lock.lock();
        busy_ = false;
        if (items_.empty()) idle_.notify_all();
    }
}

void Queue::execute(Item& item) {
    std::optional<Failure> failed;
    try {
        const Annotation annotation(backend_, stream_, item.operation);
        const mm_status status = item.work();
        if (status != MM_OK) failed = Failure{status, item.operation, backend_->last_error(stream_)};
    } catch (const Failure& failure) {
        failed = failure;
    } catch (const std::bad_alloc&) {
        failed = Failure{MM_OUT_OF_MEMORY, item.operation, "not enough host memory"};
    } catch (const std::exception& error) {
        failed = Failure{MM_INTERNAL, item.operation, error.what()};
    }
    if (failed && !failure_) failure_ = std::move(failed);
    if (item.done) {
        item.done(std::move(failure_));
        failure_.reset();
    }
}

}  // namespace medmamba::addon
