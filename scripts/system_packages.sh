#!/usr/bin/env bash
# Installs the few system libraries that drawing without a screen and windows need, where they are missing and
# it may; where it may not, says in one line what to install. Without those of windows all else works.
set -u
[ "$(uname -s)" = Linux ] || exit 0

declare -A package_of=(
  [libEGL.so.1]=libegl1 [libGL.so.1]=libgl1 [libOpenGL.so.0]=libopengl0
  [libgomp.so.1]=libgomp1 [libX11.so.6]=libx11-6 [libidn2.so.0]=libidn2-0 [libudev.so.1]=libudev1
)
declare -A window_package_of=(
  [libxkbcommon-x11.so.0]=libxkbcommon-x11-0 [libxcb-cursor.so.0]=libxcb-cursor0 [libxcb-icccm.so.4]=libxcb-icccm4
  [libxcb-keysyms.so.1]=libxcb-keysyms1 [libxcb-image.so.0]=libxcb-image0 [libxcb-randr.so.0]=libxcb-randr0
  [libxcb-render-util.so.0]=libxcb-render-util0 [libxcb-shape.so.0]=libxcb-shape0
  [libxcb-xinerama.so.0]=libxcb-xinerama0 [libxcb-xfixes.so.0]=libxcb-xfixes0 [libdbus-1.so.3]=libdbus-1-3
  [libfontconfig.so.1]=libfontconfig1 [libglib-2.0.so.0]=libglib2.0-0
)
libraries=$(/sbin/ldconfig -p 2>/dev/null || ldconfig -p)
missing=()
for library in "${!package_of[@]}"; do
  grep -q "$library" <<<"$libraries" || missing+=("${package_of[$library]}")
done
# Mesa's software renderer is loaded by name, so ldconfig does not list it.
compgen -G "/usr/lib/*/dri/*swrast*" >/dev/null || compgen -G "/usr/lib64/dri/*swrast*" >/dev/null ||
  compgen -G "/usr/lib/*/libgallium*" >/dev/null || missing+=(libgl1-mesa-dri)
for_windows=()
for library in "${!window_package_of[@]}"; do
  grep -q "$library" <<<"$libraries" || for_windows+=("${window_package_of[$library]}")
done
# The screen that is none, for tests of windows and their pictures, and letters for it.
command -v Xvfb >/dev/null || for_windows+=(xvfb)
command -v xauth >/dev/null || for_windows+=(xauth)
[ -d /usr/share/fonts ] && [ -n "$(ls -A /usr/share/fonts)" ] || for_windows+=(fonts-dejavu-core)
# A Slurm that tests start for themselves; only in containers, as elsewhere its daemons would be started at once.
for_cluster=()
if [ "$(id -u)" -eq 0 ] && [ ! -d /run/systemd/system ] && command -v apt-get >/dev/null &&
  ! [ -x /usr/sbin/slurmctld ]; then
  for_cluster=(slurmctld slurmd slurm-client munge)
fi
# A browser without a screen, for tests of pages that scripts draw; not every system has a package of it.
browser=(chromium-headless-shell)
for program in chromium chromium-headless-shell chromium-browser google-chrome; do
  command -v "$program" >/dev/null && browser=()
done
# An image that only computes needs what draws without a screen, and nothing else.
if [ "${1-}" = --libraries ]; then
  for_windows=() for_cluster=() browser=()
fi
[ $((${#missing[@]} + ${#for_windows[@]} + ${#for_cluster[@]} + ${#browser[@]})) -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
  sudo -n true 2>/dev/null || as_root=(false)
fi
if command -v apt-get >/dev/null && [ "${as_root[*]-}" != false ]; then
  wanted=("${missing[@]}" "${for_windows[@]}" "${for_cluster[@]}")
  echo "installing system packages:" "${wanted[@]}" "${browser[@]}"
  export DEBIAN_FRONTEND=noninteractive
  install=("${as_root[@]}" apt-get install -y -qq --no-install-recommends)
  "${as_root[@]}" apt-get update -qq
  [ ${#browser[@]} -eq 0 ] || "${install[@]}" "${browser[@]}" >/dev/null 2>&1 ||
    echo "setup: no ${browser[*]} to be had; tests of pages in a browser are skipped" >&2
  [ ${#wanted[@]} -eq 0 ] && exit 0
  "${install[@]}" "${wanted[@]}" >/dev/null && exit 0
fi
if [ ${#for_windows[@]} -gt 0 ]; then
  echo "setup: windows (annotate, curate, edit) and their tests need: sudo apt-get install ${for_windows[*]}" \
    "(or your system's packages of the same libraries); all else works without" >&2
fi
[ ${#missing[@]} -eq 0 ] && exit 0
echo "setup: system libraries are missing; install them with: sudo apt-get install ${missing[*]}" \
  "(or your system's packages of the same libraries); pictures in reports need them" >&2
exit 1
