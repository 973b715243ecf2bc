#include "thread.h"

#include <memory>
#include <system_error>

namespace medmamba::cpu {

namespace {

using Body = std::function<void()>;

void* run(void* context) {
    const std::unique_ptr<Body> body(static_cast<Body*>(context));
    (*body)();
    return nullptr;
}

// The system's default, but for a stack that would be too small.
class Attributes {
public:
    Attributes() {
        pthread_attr_init(&attributes_);
        size_t bytes = 0;
        pthread_attr_getstacksize(&attributes_, &bytes);
        if (bytes < Thread::least_stack) pthread_attr_setstacksize(&attributes_, Thread::least_stack);
    }
    ~Attributes() { pthread_attr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;

    const pthread_attr_t* get() const { return &attributes_; }

private:
    pthread_attr_t attributes_;
};

}  // namespace

Thread::Thread(std::function<void()> body) {
    auto context = std::make_unique<Body>(std::move(body));
    const int error = pthread_create(&thread_, Attributes().get(), run, context.get());
    if (error) throw std::system_error(error, std::generic_category());
    context.release();  // the thread's now
}

void Thread::join() {
    pthread_join(thread_, nullptr);
    joinable_ = false;
}

}  // namespace medmamba::cpu
