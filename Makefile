# The two commands at the top of the README, and what they are made of.
# demo and test install what is missing with apt (as root or through sudo) and then need nothing else.
.PHONY: demo build test unit vm sanitize tidy clean

demo:
	@scripts/demo.sh

build:
	@scripts/install-deps.sh
	@scripts/build.sh

test:
	@scripts/test.sh

# Parts of `make test`, for people at work on xsan: unit tests; guest tests; unit tests under sanitizers.
unit: build
	@scripts/test.sh unit
vm: build
	@scripts/test.sh vm
sanitize:
	@scripts/test.sh sanitize
tidy:
	@scripts/test.sh tidy

clean:
	rm -rf build
