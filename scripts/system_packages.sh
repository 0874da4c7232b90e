#!/usr/bin/env bash
# Installs the few system libraries that drawing without a screen needs, where they are missing and it may;
# where it may not, says in one line what to install.
set -u
[ "$(uname -s)" = Linux ] || exit 0

declare -A package_of=(
  [libEGL.so.1]=libegl1 [libGL.so.1]=libgl1 [libOpenGL.so.0]=libopengl0
  [libgomp.so.1]=libgomp1 [libX11.so.6]=libx11-6 [libidn2.so.0]=libidn2-0 [libudev.so.1]=libudev1
)
libraries=$(/sbin/ldconfig -p 2>/dev/null || ldconfig -p)
missing=()
for library in "${!package_of[@]}"; do
  grep -q "$library" <<<"$libraries" || missing+=("${package_of[$library]}")
done
# Mesa's software renderer is loaded by name, so ldconfig does not list it.
compgen -G "/usr/lib/*/dri/*swrast*" >/dev/null || compgen -G "/usr/lib64/dri/*swrast*" >/dev/null ||
  compgen -G "/usr/lib/*/libgallium*" >/dev/null || missing+=(libgl1-mesa-dri)
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
  sudo -n true 2>/dev/null || as_root=(false)
fi
if command -v apt-get >/dev/null && [ "${as_root[*]-}" != false ]; then
  echo "installing system packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "setup: system libraries are missing; install them with: sudo apt-get install ${missing[*]}" \
  "(or your system's packages of the same libraries); pictures in reports need them" >&2
exit 1
