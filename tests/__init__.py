import ltad as ltad  # before torch: it says how torch's threads wait
