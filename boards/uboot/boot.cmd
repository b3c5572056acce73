# Chooses the system slot and boots it (docs/boards.md). @NAMES@ are filled in from boards/layout.ts and image.yaml.
# That a panic reboots is said here, not in a slot: it may be a bad one.
setenv active a
setenv trial
setenv token
setenv tried
setenv seconds
setenv trialargs
${devtype} dev ${devnum}
# What has no right CRC is as if it were not there.
if ${devtype} read @SCRATCH@ @CHOICE_SECTOR@ 1; then env import -c @SCRATCH@ 200 active trial token seconds; fi
if ${devtype} read @SCRATCH@ @TRIES_SECTOR@ 1; then env import -c @SCRATCH@ 200 tried; fi
if test "${active}" = b; then setenv other a; else setenv active a; setenv other b; fi

setenv load_slot 'if test "${slot}" = b; then setenv part @BOOT_B@; else setenv part @BOOT_A@; fi; setenv cmdline; run load_env && run load_kernel && run load_tree && run load_initramfs'
setenv load_env 'load ${devtype} ${devnum}:${part} @SCRATCH@ boot.env && env import -t @SCRATCH@ ${filesize} cmdline'
setenv load_kernel 'load ${devtype} ${devnum}:${part} @KERNEL@ Image'
# The slot's own device tree for this board; else the one that was handed to U-Boot.
setenv load_tree 'if test -n "${fdtfile}" && load ${devtype} ${devnum}:${part} @SCRATCH@ ${fdtfile}; then setenv tree @SCRATCH@; else setenv tree @DEVICE_TREE@; fi'
setenv load_initramfs 'load ${devtype} ${devnum}:${part} @RAMDISK@ initramfs'
setenv boot_slot 'run load_slot && setenv bootargs "${cmdline} panic=5 wherry.disk=@DISK_ID@ wherry.slot=${slot}${trialargs} ${extra}" && booti @KERNEL@ @RAMDISK@:${filesize} ${tree}'

# A trial is written down before it is booted, so that it is booted once. One that cannot be written down is none.
if test -n "${token}" && test "${tried}" != "${token}"; then
  if test "${trial}" = a || test "${trial}" = b; then
    setenv tried ${token}
    if env export -c -s 200 @SCRATCH@ tried && ${devtype} write @SCRATCH@ @TRIES_SECTOR@ 1; then
      setenv slot ${trial}
      setenv trialargs " wherry.trial=${token}"
      if test -n "${seconds}"; then setenv trialargs "${trialargs} wherry.trial-seconds=${seconds}"; fi
      echo "Trial boot of slot ${slot}"
      run boot_slot
      setenv trialargs
    fi
  fi
fi

setenv slot ${active}
echo "Booting slot ${slot}"
run boot_slot
setenv slot ${other}
echo "Booting slot ${slot}: the active one does not load"
run boot_slot
echo "Neither slot loads"
sleep 5
reset
